/**
 * When to look at which task again: a binary heap by due time. Setting another time for a task leaves the old entry
 * in place; `takeDue` drops it, so the heap holds at most one live entry and the stale ones of each task.
 */
export class DueTasks<Task> {
  readonly #heap: Array<{ readonly timeMs: number; readonly task: Task }> = [];
  readonly #dueMs = new Map<Task, number>();

  get nextDueMs(): number | null {
    return this.#heap[0]?.timeMs ?? null;
  }

  set(task: Task, timeMs: number): void {
    if (this.#dueMs.get(task) === timeMs) return;
    this.#dueMs.set(task, timeMs);
    this.#heap.push({ timeMs, task });
    this.#rise(this.#heap.length - 1);
  }

  delete(task: Task): void {
    this.#dueMs.delete(task);
  }

  /** Removes and returns the tasks whose time has come, the earliest first. */
  takeDue(nowMs: number): Task[] {
    const due: Task[] = [];
    for (let top = this.#heap[0]; top && top.timeMs <= nowMs; top = this.#heap[0]) {
      this.#removeTop();
      if (this.#dueMs.get(top.task) !== top.timeMs) continue;
      this.#dueMs.delete(top.task);
      due.push(top.task);
    }
    return due;
  }

  #rise(from: number): void {
    const heap = this.#heap;
    for (let child = from; child > 0; ) {
      const parent = (child - 1) >> 1;
      if (heap[parent]!.timeMs <= heap[child]!.timeMs) return;
      [heap[parent], heap[child]] = [heap[child]!, heap[parent]!];
      child = parent;
    }
  }

  #removeTop(): void {
    const heap = this.#heap;
    const last = heap.pop()!;
    if (heap.length === 0) return;
    heap[0] = last;
    for (let parent = 0; ; ) {
      const left = 2 * parent + 1;
      const right = left + 1;
      let least = parent;
      if (left < heap.length && heap[left]!.timeMs < heap[least]!.timeMs) least = left;
      if (right < heap.length && heap[right]!.timeMs < heap[least]!.timeMs) least = right;
      if (least === parent) return;
      [heap[parent], heap[least]] = [heap[least]!, heap[parent]!];
      parent = least;
    }
  }
}
