import { describe, expect, it } from 'vitest';
import { SettleOrder, type Settling } from './settle-order.ts';

describe('SettleOrder', () => {
  it('acknowledges the longest finished prefix at once', () => {
    const { order, finish, take } = holding(5);
    finish(2, 1, 3, 5);
    expect(take()).toEqual([{ tag: 3, multiple: true, tags: [1, 2, 3] }]);
    expect(order.hasFinished).toBe(true);
    finish(4);
    expect(take()).toEqual([{ tag: 5, multiple: true, tags: [4, 5] }]);
    expect(order.hasFinished).toBe(false);
  });

  it('acknowledges singly when a slow one holds back more than allowed', () => {
    const { finish, take } = holding(6, 2);
    finish(2, 3);
    expect(take()).toEqual([]);
    finish(5);
    expect(take()).toEqual([2, 3, 5].map((tag) => ({ tag, multiple: false, tags: [tag] })));
    finish(1, 4);
    expect(take()).toEqual([{ tag: 4, multiple: true, tags: [1, 4] }]);
  });

  it('acknowledges few ones singly when told to', () => {
    const { finish, take } = holding(3);
    finish(1, 3);
    expect(take(true)).toEqual([1, 3].map((tag) => ({ tag, multiple: false, tags: [tag] })));
  });

  it('never reaches over one that is held, and never ends at one that was settled before', () => {
    const { deliveries, finish, take } = holding(4);
    deliveries[2]!.state = 'settled';
    finish(1, 2);
    expect(take()).toEqual([{ tag: 2, multiple: true, tags: [1, 2] }]);
    finish(4);
    expect(take()).toEqual([{ tag: 4, multiple: false, tags: [4] }]);
  });

  it('gives up what is not settled', () => {
    const { order, finish, take } = holding(4);
    finish(1, 3);
    take();
    expect(order.takeRest().map(({ tag }) => tag)).toEqual([2, 3, 4]);
    expect(order.hasFinished).toBe(false);
  });

  it('stays small while one is held and many pass it', () => {
    const order = new SettleOrder<Settling>(4);
    order.add({ tag: 1, state: 'held' });
    for (let tag = 2; tag <= 10_000; tag += 1) {
      const delivery: Settling = { tag, state: 'held' };
      order.add(delivery);
      order.finish(delivery);
      order.takeAcknowledgements(true);
    }
    expect(order.size).toBeLessThanOrEqual(256);
    expect(order.takeRest().map(({ tag }) => tag)).toEqual([1]);
  });

  it('keeps its place over a long run', () => {
    const order = new SettleOrder<Settling>(4);
    let acknowledged = 0;
    for (let tag = 1; tag <= 5_000; tag += 1) {
      const delivery: Settling = { tag, state: 'held' };
      order.add(delivery);
      order.finish(delivery);
      if (tag % 7 === 0) acknowledged += order.takeAcknowledgements(false).flatMap(({ deliveries }) => deliveries).length;
    }
    acknowledged += order.takeAcknowledgements(false).flatMap(({ deliveries }) => deliveries).length;
    expect(acknowledged).toBe(5_000);
  });
});

function holding(count: number, maxBehind = 10) {
  const order = new SettleOrder<Settling>(maxBehind);
  const deliveries = Array.from({ length: count }, (_, index): Settling => ({ tag: index + 1, state: 'held' }));
  for (const delivery of deliveries) order.add(delivery);
  return {
    order,
    deliveries,
    finish: (...tags: number[]) => tags.forEach((tag) => order.finish(deliveries[tag - 1]!)),
    take: (singly = false) =>
      order.takeAcknowledgements(singly).map(({ tag, multiple, deliveries: taken }) => ({ tag, multiple, tags: taken.map((each) => each.tag) })),
  };
}
