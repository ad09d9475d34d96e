import { once } from 'node:events';
import type { Readable, Writable } from 'node:stream';
import { styleText } from 'node:util';

export type Environment = Readonly<Record<string, string | undefined>>;

/** What a command line runs in; `process` in earnest, streams of their own in tests. */
export interface Surroundings {
  readonly environment: Environment;
  readonly stdin: Readable & { readonly isTTY?: boolean };
  readonly stdout: OutputStream;
  readonly stderr: OutputStream;
}

export type OutputStream = Writable & { readonly isTTY?: boolean; readonly columns?: number };

const colours = ['bold', 'dim', 'red', 'green', 'yellow', 'cyan'] as const;
export type Colour = (typeof colours)[number];
export type Paint = Readonly<Record<Colour, (text: string) => string>>;

/** Where a command prints: data to `out`, everything else to `note`. */
export class Terminal {
  readonly surroundings: Surroundings;
  readonly json: boolean;
  /** Colours for what goes to stdout and to stderr: none unless that is a terminal and NO_COLOR is unset. */
  readonly paint: Paint;
  readonly notePaint: Paint;

  constructor(surroundings: Surroundings, options: { readonly json: boolean; readonly color: boolean }) {
    this.surroundings = surroundings;
    this.json = options.json;
    const wanted = options.color && !surroundings.environment['NO_COLOR'];
    this.paint = paintIf(wanted && !options.json && surroundings.stdout.isTTY === true);
    this.notePaint = paintIf(wanted && surroundings.stderr.isTTY === true);
  }

  /** Characters in a line of stdout; null when nobody looks at it. */
  get columns(): number | null {
    const { stdout } = this.surroundings;
    return stdout.isTTY ? (stdout.columns ?? 80) : null;
  }

  /** Prints a line of data. Resolves when the reader keeps up, so that nothing piles up in memory. */
  async out(text: string): Promise<void> {
    const { stdout } = this.surroundings;
    if (!stdout.write(`${text}\n`)) await once(stdout, 'drain');
  }

  /** Prints a JSON document: in one line for programs, indented for people. */
  async outJson(value: unknown): Promise<void> {
    await this.out(JSON.stringify(value, null, this.surroundings.stdout.isTTY ? 2 : undefined));
  }

  note(text: string): void {
    this.surroundings.stderr.write(`${text}\n`);
  }

  /** Names the command to run next; programs have no use for it. */
  hint(command: string): void {
    if (!this.json) this.note(`${this.notePaint.dim('next:')} ${command}`);
  }
}

function paintIf(wanted: boolean): Paint {
  const entries = colours.map((colour) => [
    colour,
    wanted ? (text: string) => styleText(colour, text, { validateStream: false }) : (text: string) => text,
  ]);
  return Object.fromEntries(entries) as Paint;
}
