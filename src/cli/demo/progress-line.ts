import { formatCount, formatDuration } from '../format.ts';
import type { Terminal } from '../terminal.ts';

const barWidth = 32;
const redrawMs = 80;
const lineMs = 3_000;

/**
 * How far a number of things is: a bar that redraws itself on a terminal, a line every three seconds elsewhere.
 * Goes to stderr.
 */
export class ProgressLine {
  readonly #terminal: Terminal;
  readonly #total: number;
  readonly #startedMs = performance.now();
  readonly #timer: NodeJS.Timeout;
  #done = 0;

  constructor(terminal: Terminal, total: number) {
    this.#terminal = terminal;
    this.#total = total;
    this.#timer = setInterval(() => this.#draw(), this.#isLive ? redrawMs : lineMs);
    if (this.#isLive) this.#draw();
  }

  advance(): void {
    this.#done += 1;
  }

  /** Draws the last state and leaves it standing. */
  stop(): void {
    clearInterval(this.#timer);
    this.#draw();
    if (this.#isLive) this.#terminal.note('');
  }

  get #isLive(): boolean {
    return this.#terminal.surroundings.stderr.isTTY === true;
  }

  #draw(): void {
    const text = this.#text();
    if (this.#isLive) this.#terminal.surroundings.stderr.write(`\r${text}\u001b[K`);
    else this.#terminal.note(text);
  }

  #text(): string {
    const { cyan, dim } = this.#terminal.notePaint;
    const fraction = this.#total === 0 ? 1 : this.#done / this.#total;
    const elapsedMs = performance.now() - this.#startedMs;
    const full = Math.floor(fraction * barWidth);
    const bar = this.#isLive ? `${dim('▕')}${cyan('█'.repeat(full))}${dim(`${'░'.repeat(barWidth - full)}▏`)} ` : '';
    const rate = elapsedMs < 500 ? '' : `${formatCount(Math.round(this.#done / (elapsedMs / 1_000)))}/s`;
    const counts = `${formatCount(this.#done)}/${formatCount(this.#total)} tasks`;
    const percent = `${Math.floor(fraction * 100)} %`.padStart(5);
    return `  ${bar}${percent}  ${counts}  ${dim([rate, formatDuration(elapsedMs)].filter(Boolean).join('  '))}`;
  }
}
