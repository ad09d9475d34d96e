import { missingDispatches, type PresumedLost } from '../domain/dispatch-policy.ts';
import { evolve } from '../domain/evolve.ts';
import type { JsonValue } from '../domain/json.ts';
import type { StoredRecord } from '../domain/log-record.ts';
import { isRequest, type DecodedRecord } from '../domain/task-events.ts';
import { initialState, isTerminal, newestAttempt, wasHandedOut, type TaskState } from '../domain/task-state.ts';
import { traceContextOf, type TraceContext } from '../domain/trace-context.ts';
import { EndedTasks, type EndedCut } from './ended-tasks.ts';

/** A task that may still need something, with what the dispatcher is doing about it. */
export interface OpenTask {
  readonly taskId: string;
  readonly partition: number;
  state: TaskState;
  /** Where its valid `TaskAccepted` stands: the payload is read there again when it is not in memory. */
  acceptedOffset: number;
  payload: JsonValue | undefined;
  /**
   * Of its submission. After a restart it is known again with the next event that bears it, or when the payload is
   * read: until then, what is decided is recorded without.
   */
  trace: TraceContext;
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
  /** Not to be dispatched before this monotonic time: a publish of unknown outcome may still arrive. */
  heldUntilMs: number;
  /** Its job as last handed out is in nobody's hands; null: nothing speaks for that. */
  lost: PresumedLost | null;
  /** Its partition was given up: whatever still settles for it has no consequence here. */
  dropped: boolean;
}

const noTrace: TraceContext = {};

/** How many payloads of waiting tasks are kept in memory; those beyond are read from the log again. */
const payloadsKept = 10_000;

/**
 * What of a task is the fold of its log, and stands in a snapshot. Everything else in `OpenTask` is what this
 * dispatcher does about it, and begins anew after a restart.
 */
export type FoldedTask = Pick<OpenTask, 'taskId' | 'acceptedOffset' | 'state'>;

/** The fold of one partition up to its position. */
export interface PartitionFold {
  readonly tasks: readonly FoldedTask[];
  readonly ended: EndedTasks;
}

/** A fold as of one moment, to be written out while the next records are folded. */
export interface PartitionCut {
  readonly tasks: readonly FoldedTask[];
  readonly ended: EndedCut;
}

/**
 * The state of the log as far as the dispatcher needs it: the fold of every task that is open, failed or cancelled
 * (an operator may retry it), and the ids of the completed and rejected ones, which must never run again.
 *
 * What it knows of a partition follows from that partition's records alone, whatever this dispatcher is doing.
 */
export class OpenTasks {
  readonly #partitions = new Map<number, Map<string, OpenTask>>();
  readonly #ended = new Map<number, EndedTasks>();
  #payloads = 0;

  get size(): number {
    return [...this.#partitions.values()].reduce((sum, tasks) => sum + tasks.size, 0);
  }

  get closedCount(): number {
    return [...this.#ended.values()].reduce((sum, ended) => sum + ended.size, 0);
  }

  of(partition: number): Iterable<OpenTask> {
    return this.#partitions.get(partition)?.values() ?? [];
  }

  /** Forgets a partition that another dispatcher may act on now. Returns the tasks that were known of it. */
  drop(partition: number): readonly OpenTask[] {
    const dropped = [...this.of(partition)];
    for (const task of dropped) {
      task.dropped = true;
      this.dropPayload(task);
    }
    this.#partitions.delete(partition);
    this.#ended.delete(partition);
    return dropped;
  }

  /**
   * Folds one record. Returns the task that it belongs to, null when nothing follows from it: a copy or a late event
   * of a completed task, a record that belongs to no accepted task.
   */
  fold(record: StoredRecord, event: DecodedRecord): OpenTask | null {
    const { taskId } = event;
    const [tasks, ended] = this.#partition(record.partition);
    ended.advance(record.offset);
    if (taskId === null) return null;
    const known = tasks.get(taskId);
    const isOpen = known !== undefined && !isOver(known.state);
    if (!isOpen && ended.has(taskId)) {
      // No event counts for it any more. It is known until what this dispatcher does for it has settled and was read.
      if (known) known.readOffset = record.offset;
      return known ?? null;
    }
    const task = isOpen ? known : newTask(taskId, record.partition);
    task.readOffset = record.offset;
    const before = task.state;
    task.state = evolve(before, event);
    if (!task.state.accepted && !task.state.rejected && !task.state.frozen) return null;
    if (!before.accepted && event.type === 'TaskAccepted') {
      task.acceptedOffset = record.offset;
      this.#keepPayload(task, event.data.payload);
    }
    noteTrace(task, event);
    if (task.state.end) this.dropPayload(task);
    if (isOver(task.state)) ended.add(taskId);
    tasks.set(taskId, task);
    return task;
  }

  /** What a partition has come to, as of now. Takes a few milliseconds for 10,000 open tasks, however many ended. */
  cut(partition: number): PartitionCut {
    const [open, ended] = this.#partition(partition);
    const tasks: FoldedTask[] = [];
    for (const { taskId, acceptedOffset, state } of open.values()) if (!isOver(state)) tasks.push({ taskId, acceptedOffset, state });
    return { tasks, ended: ended.cut() };
  }

  /** Puts a fold in place of whatever was known of the partition. */
  restore(partition: number, { tasks, ended }: PartitionFold): void {
    this.#partitions.set(partition, new Map(tasks.map((folded) => [folded.taskId, { ...newTask(folded.taskId, partition), ...folded }])));
    this.#ended.set(partition, ended);
  }

  dropPayload(task: OpenTask): void {
    if (task.payload === undefined) return;
    task.payload = undefined;
    this.#payloads--;
  }

  /** Keeps only the id of a task that is over: completed or rejected, and nothing left to record. */
  closeIfOver(task: OpenTask): boolean {
    if (!isOver(task.state) || task.unsettled > 0) return false;
    this.dropPayload(task);
    const tasks = this.#partitions.get(task.partition);
    if (tasks?.get(task.taskId) === task) tasks.delete(task.taskId);
    return true;
  }

  #partition(partition: number): readonly [Map<string, OpenTask>, EndedTasks] {
    const tasks = this.#partitions.get(partition) ?? new Map<string, OpenTask>();
    const ended = this.#ended.get(partition) ?? new EndedTasks();
    this.#partitions.set(partition, tasks);
    this.#ended.set(partition, ended);
    return [tasks, ended];
  }

  #keepPayload(task: OpenTask, payload: JsonValue): void {
    if (this.#payloads >= payloadsKept) return;
    task.payload = payload;
    this.#payloads++;
  }
}

/** Every event of a task bears the trace of its submission, but a request: that bears the one of its sender. */
export function noteTrace(task: OpenTask, event: DecodedRecord): void {
  if (task.trace !== noTrace || event.type === 'Unreadable' || event.traceparent === undefined || isRequest(event.type)) return;
  task.trace = traceContextOf(event.traceparent);
}

/** Whether the task is completed or rejected, and no dispatch of it is left to record. */
function isOver(state: TaskState): boolean {
  if (state.rejected === null && state.end?.kind !== 'completed') return false;
  return !state.frozen && missingDispatches(state).length === 0;
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
    trace: noTrace,
    unsettled: 0,
    writtenOffset: -1,
    readOffset: -1,
    waiting: false,
    publishing: false,
    heldUntilMs: 0,
    lost: null,
    dropped: false,
  };
}
