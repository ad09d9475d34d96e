import { missingDispatches, type PresumedLost } from '../domain/dispatch-policy.ts';
import { evolve } from '../domain/evolve.ts';
import type { JsonValue } from '../domain/json.ts';
import type { StoredRecord } from '../domain/log-record.ts';
import type { DecodedRecord } from '../domain/task-events.ts';
import { initialState, isTerminal, newestAttempt, wasHandedOut, type TaskState } from '../domain/task-state.ts';

/** A task that may still need something, with what the dispatcher is doing about it. */
export interface OpenTask {
  readonly taskId: string;
  readonly partition: number;
  state: TaskState;
  /** Where its valid `TaskAccepted` stands: the payload is read there again when it is not in memory. */
  acceptedOffset: number;
  payload: JsonValue | undefined;
  /** Publishes and appends of this dispatcher for the task that are not settled. */
  unsettled: number;
  /** The highest offset that this dispatcher wrote for the task: nothing is decided before it was read. */
  writtenOffset: number;
  /** The offset of the last record of the task that was read. */
  readOffset: number;
  /** In a lane, ready to be dispatched. */
  waiting: boolean;
  /** Its job is being published, or its dispatch was not read back yet. */
  publishing: boolean;
  /** It takes a place in its lane's window: publishing, or handed out and without an outcome. */
  outstanding: boolean;
  /** Not to be dispatched before this monotonic time: a publish of unknown outcome may still arrive. */
  heldUntilMs: number;
  /** Its job as last handed out is in nobody's hands; null: nothing speaks for that. */
  lost: PresumedLost | null;
  /** Its partition was given up: whatever still settles for it has no consequence here. */
  dropped: boolean;
}

/** How many payloads of waiting tasks are kept in memory; those beyond are read from the log again. */
const payloadsKept = 10_000;

/**
 * The state of the log as far as the dispatcher needs it: the fold of every task that is open, failed or cancelled
 * (an operator may retry it), and the ids of the completed and rejected ones, which must never run again.
 */
export class OpenTasks {
  readonly #tasks = new Map<string, OpenTask>();
  readonly #closed = new Map<number, Set<string>>();
  #payloads = 0;

  get size(): number {
    return this.#tasks.size;
  }

  get closedCount(): number {
    return [...this.#closed.values()].reduce((sum, closed) => sum + closed.size, 0);
  }

  *of(partition: number): Iterable<OpenTask> {
    for (const task of this.#tasks.values()) if (task.partition === partition) yield task;
  }

  /** Forgets a partition that another dispatcher may act on now. Returns the tasks that were known of it. */
  drop(partition: number): readonly OpenTask[] {
    const dropped = [...this.of(partition)];
    for (const task of dropped) {
      task.dropped = true;
      this.dropPayload(task);
      this.#tasks.delete(task.taskId);
    }
    this.#closed.delete(partition);
    return dropped;
  }

  /**
   * Folds one record. Returns the task that it belongs to, null when nothing follows from it: a copy or a late event
   * of a completed task, a record that belongs to no accepted task.
   */
  fold(record: StoredRecord, event: DecodedRecord): OpenTask | null {
    const { taskId } = event;
    if (taskId === null) return null;
    const known = this.#tasks.get(taskId);
    if (!known && this.#closed.get(record.partition)?.has(compact(taskId))) return null;
    const task = known ?? newTask(taskId, record.partition);
    const before = task.state;
    task.state = evolve(before, event);
    task.readOffset = record.offset;
    if (!task.state.accepted && !task.state.rejected && !task.state.frozen) return null;
    if (!before.accepted && event.type === 'TaskAccepted') {
      task.acceptedOffset = record.offset;
      this.#keepPayload(task, event.data.payload);
    }
    if (task.state.end) this.dropPayload(task);
    this.#tasks.set(taskId, task);
    return task;
  }

  dropPayload(task: OpenTask): void {
    if (task.payload === undefined) return;
    task.payload = undefined;
    this.#payloads--;
  }

  /** Keeps only the id of a task that is over: completed or rejected, and nothing left to record. */
  closeIfOver(task: OpenTask): boolean {
    const { state } = task;
    const over = state.rejected !== null || state.end?.kind === 'completed';
    if (!over || task.unsettled > 0 || state.frozen || missingDispatches(state).length > 0) return false;
    this.dropPayload(task);
    this.#tasks.delete(task.taskId);
    const closed = this.#closed.get(task.partition) ?? new Set();
    this.#closed.set(task.partition, closed.add(compact(task.taskId)));
    return true;
  }

  #keepPayload(task: OpenTask, payload: JsonValue): void {
    if (this.#payloads >= payloadsKept) return;
    task.payload = payload;
    this.#payloads++;
  }
}

/** Whether nothing that this dispatcher did for the task is still under way, or unread. */
export function isSettled(task: OpenTask): boolean {
  return task.unsettled === 0 && task.readOffset >= task.writtenOffset;
}

/** Whether the task takes a place in its lane's window. */
export function takesPlace(task: OpenTask): boolean {
  return task.publishing || isHandedOut(task.state);
}

/** Whether the newest attempt is with the queue or a worker, and has no outcome. */
function isHandedOut(state: TaskState): boolean {
  const newest = newestAttempt(state);
  return newest !== undefined && !isTerminal(state) && newest.failure === null && wasHandedOut(newest);
}

/** A task of which nothing is known yet. */
export function newTask(taskId: string, partition: number): OpenTask {
  return {
    taskId,
    partition,
    state: initialState(taskId),
    acceptedOffset: -1,
    payload: undefined,
    unsettled: 0,
    writtenOffset: -1,
    readOffset: -1,
    waiting: false,
    publishing: false,
    outstanding: false,
    heldUntilMs: 0,
    lost: null,
    dropped: false,
  };
}

/** A UUID in 16 characters of one byte each instead of 36: the set of closed tasks grows with history. */
function compact(taskId: string): string {
  const hex = taskId.replaceAll('-', '');
  if (!/^[0-9a-f]{32}$/.test(hex)) return taskId;
  const codes = Array.from({ length: 16 }, (_, index) => parseInt(hex.slice(2 * index, 2 * index + 2), 16));
  // In one call: text built by concatenation would keep its parts alive.
  return String.fromCharCode(...codes);
}
