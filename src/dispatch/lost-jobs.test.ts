import { describe, expect, it } from 'vitest';
import { history, second, type TaskHistory } from '../../test/support/task-history.ts';
import type { Heartbeat } from '../domain/heartbeat.ts';
import { LostJobs } from './lost-jobs.ts';
import { newTask, type OpenTask } from './open-tasks.ts';

const sweepMs = 5_000;
const presenceMs = 15_000;

/** A dispatcher's watch, with a look at the queue every five seconds and heartbeats that arrive. Times in seconds. */
function watch(...tasks: OpenTask[]) {
  const jobs = new LostJobs({ sweepMs, presenceMs });
  let handedOut: readonly OpenTask[] = tasks;
  return {
    jobs,
    handOut: (...now: OpenTask[]) => void (handedOut = now),
    beat: (workerId: string, atSeconds: number, ...held: OpenTask[]) => jobs.heard(heartbeat(workerId, held), atSeconds * 1_000),
    /** @returns why each lost job is to be issued again, when its queue was lost at that time */
    reasons: (atSeconds: number, queueLostAtSeconds: number) => jobs.find(atSeconds * 1_000, true, () => queueLostAtSeconds * 1_000).map(({ reason }) => reason),
    /** One sweep. @returns the ids of the tasks whose jobs are lost */
    sweep: (atSeconds: number, { ready = 0, heartbeatsArrive = true }: { ready?: number | null; heartbeatsArrive?: boolean } = {}) => {
      const nowMs = atSeconds * 1_000;
      for (const queue of jobs.follow(handedOut, nowMs)) if (ready === 0) jobs.sawEmpty(queue, nowMs);
      return jobs.find(nowMs, heartbeatsArrive, () => -Infinity).map(({ task, attempt, issue }) => `${task.taskId} ${attempt}.${issue}`);
    },
  };
}

function heartbeat(workerId: string, held: readonly OpenTask[], stopped = false): Heartbeat {
  const ofTasks = held.map(({ taskId, state }) => ({ taskId, attempt: state.attempts.length }));
  return { workerId, timeMs: 0, stopped, startedAtMs: 0, queues: ['default'], concurrency: 1, held: ofTasks };
}

function taskOf(events: TaskHistory): OpenTask {
  return { ...newTask(events.taskId, 0), state: events.state };
}

const dispatched = (taskId = 'a') => taskOf(history(taskId).accepted().dispatched(1));

describe('LostJobs', () => {
  it('presumes a job lost that left an empty queue and that no worker has', () => {
    const { sweep, beat } = watch(dispatched());
    expect([0, 5, 10, 15].map((at) => (beat('w', at), sweep(at)))).toEqual([[], [], [], ['a 1.1']]);
  });

  it('presumes it lost when there is no worker at all', () => {
    const { sweep } = watch(dispatched());
    expect([0, 5, 10, 15].map((at) => sweep(at))).toEqual([[], [], [], ['a 1.1']]);
  });

  it('takes a backlog for no loss, however long it waits', () => {
    const { sweep, beat } = watch(dispatched());
    for (let at = 0; at < 3_600; at += 5) {
      beat('w', at);
      expect(sweep(at, { ready: 1 })).toEqual([]);
    }
  });

  it('learns nothing from a queue that does not answer', () => {
    const { sweep } = watch(dispatched());
    expect([0, 5, 10, 15, 20, 25].flatMap((at) => sweep(at, { ready: null }))).toEqual([]);
  });

  it('finds the loss in a busy queue by a job that was dispatched well after it and has started', () => {
    const { sweep, jobs } = watch(dispatched());
    for (let at = 0; at <= 20; at += 5) expect(sweep(at, { ready: 9 })).toEqual([]);
    // The task was dispatched in second 1.
    const startOf = (dispatchedAt: number) => history('b').accepted().at(second(dispatchedAt)).dispatched(1).started(1, 'e').state.attempts[0]!;
    jobs.started({ attempt: startOf(6), issue: 1 });
    expect([25, 30].flatMap((at) => sweep(at, { ready: 9 }))).toEqual([]);
    jobs.started({ attempt: startOf(7), issue: 1 });
    expect([35, 40, 45].map((at) => sweep(at, { ready: 9 }))).toEqual([[], [], ['a 1.1']]);
  });

  it('leaves a job alone for as long as a worker has it', () => {
    const task = dispatched();
    const { sweep, beat } = watch(task);
    for (let at = 0; at < 3_600; at += 5) {
      beat('w', at, task);
      beat('another', at);
      expect(sweep(at)).toEqual([]);
    }
  });

  it('waits until every worker was heard after the job had left the queue', () => {
    const { sweep, beat } = watch(dispatched());
    for (const at of [0, 5, 10]) {
      beat('w', at);
      beat('slow', at);
      sweep(at);
    }
    beat('w', 15);
    beat('slow', 5.9);
    expect(sweep(15)).toEqual([]);
    beat('slow', 16);
    beat('w', 20);
    expect(sweep(20)).toEqual(['a 1.1']);
  });

  it('counts a heartbeat for nothing that may have been on its way while its worker took the job', () => {
    const { sweep, beat } = watch(dispatched());
    for (const at of [0, 5, 10, 15]) sweep(at, { ready: 1 });
    expect(sweep(20)).toEqual([]);
    beat('w', 27.5);
    expect(sweep(30)).toEqual([]);
    beat('w', 27.6);
    expect(sweep(30)).toEqual(['a 1.1']);
  });

  it('gives what a worker had the time to come back to the queue, whether the worker let go of it, stopped or died', () => {
    const task = dispatched();
    for (const leave of ['let go', 'stop', 'die'] as const) {
      const { sweep, beat, jobs } = watch(task);
      for (const at of [0, 5, 10, 15]) {
        beat('w', at, task);
        beat('other', at);
        expect(sweep(at)).toEqual([]);
      }
      if (leave === 'let go') beat('w', 19);
      if (leave === 'stop') jobs.heard(heartbeat('w', [], true), 19_000);
      const lostAt = [20, 25, 30, 35, 40, 45, 50].find((at) => {
        beat('other', at);
        if (leave === 'let go') beat('w', at);
        return sweep(at).length > 0;
      });
      // A worker that is silent since second 15 is gone 15 s later; then its job has 5 s to turn up, and 7.5 s more.
      expect([leave, lostAt]).toEqual([leave, leave === 'die' ? 45 : 35]);
    }
  });

  it('counts nobody as gone while heartbeats cannot arrive', () => {
    const task = dispatched();
    const { sweep, beat } = watch(task);
    for (const at of [0, 5, 10, 15]) {
      beat('w', at, task);
      sweep(at);
    }
    for (let at = 20; at < 120; at += 5) expect(sweep(at, { heartbeatsArrive: false })).toEqual([]);
    expect([120, 125, 130].flatMap((at) => sweep(at))).toEqual([]);
    beat('w', 134, task);
    expect([135, 140, 145].flatMap((at) => sweep(at))).toEqual([]);
  });

  it('knows nobody before it has listened for long enough', () => {
    const { sweep } = watch(dispatched());
    expect([0, 5, 10, 14.9].flatMap((at) => sweep(at, { heartbeatsArrive: at >= 5 }))).toEqual([]);
    expect(sweep(19.9)).toEqual([]);
    expect(sweep(20)).toEqual(['a 1.1']);
  });

  it('is more patient with every issue of an attempt, and has an end of patience', () => {
    const lostAfter = (issue: number) => {
      const events = Array.from({ length: issue }, (_, index) => index + 1).reduce((made, each) => made.dispatched(1, { issue: each }), history('a').accepted());
      const { sweep } = watch(taskOf(events));
      for (let at = 0; ; at += 5) if (sweep(at).length > 0) return at;
    };
    expect([3, 4, 5, 6, 7, 8, 20].map(lostAfter)).toEqual([30, 50, 90, 170, 310, 310, 310]);
  });

  it('tells the loss of the queue from that of a job when the queue was lost after the job had been handed out', () => {
    const { sweep, reasons } = watch(dispatched());
    for (const at of [5, 10, 15, 20]) sweep(at);
    expect([-Infinity, 3, 5, 5.1, 19].flatMap((lostAt) => reasons(20, lostAt))).toEqual([
      ...['presumed lost', 'presumed lost', 'presumed lost'],
      ...['queue lost', 'queue lost'],
    ]);
  });

  it('knows that an execution does not change when its job was handed out, and a new issue does', () => {
    const first = history('a').accepted().dispatched(1);
    for (const [next, reason] of [[first.started(1, 'e'), 'queue lost'], [first.dispatched(1, { issue: 2 }), 'presumed lost']] as const) {
      const task = taskOf(first);
      const { sweep, reasons } = watch(task);
      sweep(0);
      task.state = next.state;
      for (const at of [10, 15, 20, 25, 30]) sweep(at);
      expect(reasons(30, 5)).toEqual([reason]);
    }
  });

  it('begins anew with the next issue, the next attempt and the next execution', () => {
    const first = history('a').accepted().dispatched(1);
    const steps: Array<[TaskHistory, string]> = [
      [first.dispatched(1, { issue: 2 }), 'a 1.2'],
      [first.started(1, 'e'), 'a 1.1'],
      [first.failed(1, null).retryScheduled(2).dispatched(2), 'a 2.1'],
    ];
    for (const [next, lost] of steps) {
      const task = taskOf(first);
      const { sweep } = watch(task);
      for (const at of [0, 5, 10, 15]) sweep(at);
      expect(sweep(20)).toEqual(['a 1.1']);
      task.state = next.state;
      expect([25, 29].flatMap((at) => sweep(at))).toEqual([]);
      expect([35, 40, 45].flatMap((at) => sweep(at))).toContain(lost);
    }
  });

  it('forgets a job whose outcome is known', () => {
    const { sweep, handOut } = watch(dispatched());
    for (const at of [0, 5, 10]) sweep(at);
    handOut();
    expect([15, 20, 25].flatMap((at) => sweep(at))).toEqual([]);
  });
});
