import type { PartitionOwnership } from '../../ports/partition-ownership.ts';
import type { DependencyHealth } from '../../ports/service.ts';

/**
 * The one partition of an embedded log, shared by the dispatchers of the process that owns the folder: the first one
 * to come holds it, and when it stops the next in line gets it.
 */
export class EmbeddedOwnershipGroup {
  readonly #line: Member[] = [];

  join(): PartitionOwnership {
    return new Member(this.#line);
  }
}

class Member implements PartitionOwnership {
  readonly #line: Member[];
  #onChange: (held: ReadonlySet<number>) => void = () => {};

  constructor(line: Member[]) {
    this.#line = line;
  }

  start(onChange: (held: ReadonlySet<number>) => void): void {
    this.#onChange = onChange;
    this.#line.push(this);
    this.#tellIfFirst();
  }

  holds(partition: number): boolean {
    return partition === 0 && this.#line[0] === this;
  }

  health(): DependencyHealth {
    const inLine = this.#line.includes(this);
    const detail = this.holds(0) ? 'holds the only partition' : inLine ? 'waits for the only partition' : 'takes no part';
    return { name: 'partitions', ok: inLine, detail };
  }

  stop(): Promise<void> {
    const held = this.holds(0);
    const place = this.#line.indexOf(this);
    if (place >= 0) this.#line.splice(place, 1);
    if (held) this.#onChange(new Set());
    const next = this.#line[0];
    if (held && next) next.#tellIfFirst();
    return Promise.resolve();
  }

  #tellIfFirst(): void {
    if (this.holds(0)) this.#onChange(new Set([0]));
  }
}
