import { expect, it, onTestFinished } from 'vitest';
import { eventually } from '../../../test/support/eventually.ts';
import { KafkaTestTopic } from '../../../test/support/kafka-harness.ts';
import { silent } from '../../../test/support/silent-logger.ts';
import { SystemClock } from '../system/system-clock.ts';
import { KafkaPartitionOwnership } from './kafka-partition-ownership.ts';

const patience = { timeoutMs: 25_000 };

/** A clock that the test can set forward, as a freeze of the process would. */
class JumpingClock extends SystemClock {
  aheadMs = 0;

  override monotonicMs(): number {
    return super.monotonicMs() + this.aheadMs;
  }
}

/** Members of one group, and at every change the partitions that more than one of them believed to hold. */
async function group() {
  const topic = new KafkaTestTopic();
  await topic.create(4);
  const members: KafkaPartitionOwnership[] = [];
  const overlaps: number[] = [];
  onTestFinished(async () => {
    await Promise.all(members.map((member) => member.stop()));
    await topic.remove();
  });
  const heldBy = (member: KafkaPartitionOwnership) => [0, 1, 2, 3].filter((partition) => member.holds(partition));
  const join = (clock = new SystemClock()) => {
    const member = new KafkaPartitionOwnership({
      connection: topic.connection,
      topic: topic.topic,
      groupId: `daybook-dispatcher-${topic.topic}`,
      sessionMs: 6_000,
      clock,
      logger: silent,
    });
    members.push(member);
    member.start(() => {
      const held = members.flatMap(heldBy);
      overlaps.push(...held.filter((partition, index) => held.indexOf(partition) !== index));
    });
    return member;
  };
  return { join, heldBy, overlaps };
}

it('gives a lone member every partition, and shares them when another comes, each to one', async () => {
  const { join, heldBy, overlaps } = await group();
  const first = join();
  await eventually(() => heldBy(first).length === 4, patience);
  expect(first.health().ok).toBe(true);
  const second = join();
  await eventually(() => heldBy(first).length === 2 && heldBy(second).length === 2, patience);
  expect(new Set([...heldBy(first), ...heldBy(second)])).toEqual(new Set([0, 1, 2, 3]));
  await second.stop();
  expect(heldBy(second)).toEqual([]);
  await eventually(() => heldBy(first).length === 4, patience);
  expect(overlaps).toEqual([]);
}, 90_000);

it('believes no hold that is old, gives it up by the clock, and takes part again', async () => {
  const { join, heldBy } = await group();
  const clock = new JumpingClock();
  const member = join(clock);
  await eventually(() => heldBy(member).length === 4, patience);
  clock.aheadMs = 3_600;
  expect(heldBy(member)).toEqual([]);
  await eventually(() => heldBy(member).length === 4, patience);
}, 60_000);
