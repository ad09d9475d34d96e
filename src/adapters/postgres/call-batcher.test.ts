import { expect, it } from 'vitest';
import { CallBatcher, type BatchLimits } from './call-batcher.ts';

class Refusal extends Error {}

/** Doubles numbers, once the test lets it answer; refuses negative ones, and breaks down over 0. */
function doubler(limits: Partial<BatchLimits> = {}) {
  const sent: (readonly number[])[] = [];
  let answer = () => {};
  const mayAnswer = new Promise<void>((resolve) => (answer = resolve));
  const send = async (calls: readonly number[]) => {
    sent.push(calls);
    await mayAnswer;
    if (calls.some((call) => call < 0)) throw new Refusal('negative');
    if (calls.includes(0)) throw new Error('the connection broke');
    return calls.map((call) => call * 2);
  };
  const rules = { isRefusal: (error: unknown) => error instanceof Refusal, notSent: (why: string) => new RangeError(why) };
  return { sent, answer, batcher: new CallBatcher(send, rules, limits) };
}

const nextTurn = () => new Promise((resolve) => setImmediate(resolve));

it('sends together what was called in one turn, and then what was called while that ran', async () => {
  const { batcher, sent, answer } = doubler();
  const first = [1, 2].map((call) => batcher.call(call));
  await nextTurn();
  const second = [3, 4, 5].map((call) => batcher.call(call));
  answer();
  expect(await Promise.all([...first, ...second])).toEqual([2, 4, 6, 8, 10]);
  expect(sent).toEqual([[1, 2], [3, 4, 5]]);
});

it('lets a refused call fail alone', async () => {
  const { batcher, answer } = doubler();
  const calls = [1, 2, 3, -4, 5, 6, 7].map((call) => batcher.call(call));
  answer();
  const results = await Promise.allSettled(calls);
  expect(results.map((result) => (result.status === 'fulfilled' ? result.value : result.reason.constructor))).toEqual([2, 4, 6, Refusal, 10, 12, 14]);
});

it('fails every call of a batch whose fate is not known, and sends none of them again', async () => {
  const { batcher, sent, answer } = doubler();
  const calls = [1, 0].map((call) => batcher.call(call));
  answer();
  for (const call of calls) await expect(call).rejects.toThrow('the connection broke');
  expect(sent).toHaveLength(1);
  expect(await batcher.call(5)).toBe(10);
});

it('bounds a batch by calls and by bytes, and never waits for a call to fit', async () => {
  const { batcher, sent, answer } = doubler({ maxBatch: 2, maxBatchBytes: 100 });
  const calls = [[1, 1], [2, 1], [3, 1], [4, 500], [5, 60], [6, 60]].map(([call = 0, bytes = 0]) => batcher.call(call, bytes));
  answer();
  await Promise.all(calls);
  expect(sent).toEqual([[1, 2], [3], [4], [5], [6]]);
});

it('refuses a call at once when too many wait, or too many bytes', async () => {
  const { batcher, answer } = doubler({ maxQueued: 2, maxQueuedBytes: 100 });
  const calls = [batcher.call(1, 50)];
  await expect(batcher.call(2, 51)).rejects.toThrow(RangeError);
  calls.push(batcher.call(3));
  await expect(batcher.call(4)).rejects.toThrow(RangeError);
  answer();
  expect(await Promise.all(calls)).toEqual([2, 6]);
});

it('does not send a call that waited too long', async () => {
  const { batcher, sent, answer } = doubler({ maxWaitMs: 20 });
  const running = batcher.call(1);
  await nextTurn();
  const late = expect(batcher.call(2)).rejects.toThrow(RangeError);
  const calledMs = performance.now();
  while (performance.now() - calledMs < 30) await nextTurn();
  answer();
  expect(await running).toBe(2);
  await late;
  expect(sent).toEqual([[1]]);
});

it('settles what was called before it was closed, and takes nothing more', async () => {
  const { batcher, answer } = doubler();
  const running = batcher.call(1);
  const closing = batcher.close();
  await expect(batcher.call(2)).rejects.toThrow(RangeError);
  answer();
  await closing;
  expect(await running).toBe(2);
  await batcher.close();
});
