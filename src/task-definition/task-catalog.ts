import { DaybookError } from '../domain/errors.ts';
import type { JsonValue } from '../domain/json.ts';
import { defaultQueue } from '../domain/task-state.ts';
import { isTaskDefinition, type TaskDefinition } from './define-task.ts';
import { isTaskHandler, type TaskHandler } from './handle.ts';

export type CatalogEntry = TaskHandler | TaskDefinition;

/** A definition that fits a type and version; `upcast` turns a payload of that version into one of the definition's. */
export interface FoundDefinition {
  readonly definition: TaskDefinition;
  readonly upcast: (payload: JsonValue) => JsonValue;
}

/** The kinds of task that this process knows, checked once at the start. */
export class TaskCatalog {
  readonly #definitions = new Map<string, Map<number, TaskDefinition>>();
  readonly #handlers = new Map<TaskDefinition, TaskHandler>();

  /**
   * @param entries what task modules export: `handle(…)` and bare definitions
   * @throws DaybookError `task-invalid`: not such an entry, or two of them for one type and version
   */
  constructor(entries: readonly CatalogEntry[]) {
    for (const [index, entry] of entries.entries()) {
      if (isTaskHandler(entry)) {
        this.#add(entry.definition);
        const twin = this.#handlers.get(entry.definition);
        if (twin && twin !== entry) throw twoOf('handlers', entry.definition);
        this.#handlers.set(entry.definition, entry);
      } else if (isTaskDefinition(entry)) this.#add(entry);
      else throw new DaybookError('task-invalid', `tasks[${index}]: must come from defineTask or handle`);
    }
  }

  /** Type names, sorted. */
  get types(): readonly string[] {
    return [...this.#definitions.keys()].sort();
  }

  get definitions(): readonly TaskDefinition[] {
    return [...this.#definitions.values()].flatMap((versions) => [...versions.values()]);
  }

  /** Every queue that a definition names, and the default one. */
  get queues(): ReadonlySet<string> {
    return new Set([defaultQueue, ...this.definitions.map(({ queue }) => queue)]);
  }

  get hasHandlers(): boolean {
    return this.#handlers.size > 0;
  }

  /** Whether tasks that have a handler here wait when nothing guards their execution. */
  get requiresGuard(): boolean {
    return this.definitions.some(({ type, version }) => this.findHandler(type, version)?.definition.guard === 'required');
  }

  /** The definition of a version, or a newer one that takes it through its upcasters. No version: the highest. */
  find(type: string, version?: number): FoundDefinition | null {
    const versions = this.#definitions.get(type);
    if (!versions) return null;
    const wanted = version ?? Math.max(...versions.keys());
    const exact = versions.get(wanted);
    if (exact) return { definition: exact, upcast: (payload) => payload };
    return findUpcast([...versions.values()], wanted);
  }

  /** As `find`, for a definition that has a handler. */
  findHandler(type: string, version: number): (FoundDefinition & { readonly handler: TaskHandler }) | null {
    const found = this.find(type, version);
    const handler = found && this.#handlers.get(found.definition);
    return handler ? { ...found, handler } : null;
  }

  #add(definition: TaskDefinition): void {
    const versions = this.#definitions.get(definition.type) ?? new Map<number, TaskDefinition>();
    const twin = versions.get(definition.version);
    if (twin && twin !== definition) throw twoOf('definitions', definition);
    versions.set(definition.version, definition);
    this.#definitions.set(definition.type, versions);
  }
}

function twoOf(what: string, { type, version }: TaskDefinition): DaybookError {
  return new DaybookError('task-invalid', `task ${type} version ${version} has two ${what}: keep one, or raise the version`);
}

/** The oldest newer definition whose upcasters reach from the wanted version to its own. */
function findUpcast(definitions: readonly TaskDefinition[], wanted: number): FoundDefinition | null {
  const newer = definitions.filter(({ version }) => version > wanted).sort((one, other) => one.version - other.version);
  for (const definition of newer) {
    const steps = Array.from({ length: definition.version - wanted }, (_, index) => definition.upcast[wanted + index]);
    if (steps.every((step) => step !== undefined)) {
      return { definition, upcast: (payload) => steps.reduce((value, step) => step(value), payload) };
    }
  }
  return null;
}
