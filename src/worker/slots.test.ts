import { expect, it } from 'vitest';
import { gate } from '../../test/support/worker-rig.ts';
import { Slots } from './slots.ts';

async function isPending(promise: Promise<unknown>): Promise<boolean> {
  const pending = Symbol('pending');
  return (await Promise.race([promise, new Promise((resolve) => setImmediate(resolve, pending))])) === pending;
}

it('gives places in the order in which they were asked for', async () => {
  const slots = new Slots(1);
  const first = await slots.take();
  const second = slots.take();
  const third = slots.take();
  expect(await isPending(second)).toBe(true);
  first?.giveBack();
  first?.giveBack();
  await second;
  expect(await isPending(third)).toBe(true);
});

it('gives all places only when nothing runs, before those who asked earlier, and no other until then', async () => {
  const slots = new Slots(2);
  const running = await slots.take();
  const alone = slots.takeAll();
  const later = slots.take();
  expect(await isPending(alone)).toBe(true);
  expect(await isPending(later)).toBe(true);
  running?.giveBack();
  const all = await alone;
  expect(await isPending(later)).toBe(true);
  all?.giveBack();
  expect(await later).not.toBeNull();
});

it('keeps the place of a handler that runs on, without making the one who wants all places wait for it', async () => {
  const slots = new Slots(2);
  const returns = gate();
  (await slots.take())?.giveBack(returns.promise);
  const all = await slots.takeAll();
  all?.giveBack();
  await slots.take();
  const second = slots.take();
  expect(await isPending(second)).toBe(true);
  returns.open();
  expect(await second).not.toBeNull();
});

it('answers with null once it is closed', async () => {
  const slots = new Slots(1);
  await slots.take();
  const waiting = slots.take();
  slots.close();
  expect(await waiting).toBeNull();
  expect(await slots.takeAll()).toBeNull();
});
