import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { eventually } from '../../../test/support/eventually.ts';
import { KafkaTestTopic } from '../../../test/support/kafka-harness.ts';
import { hasCode } from '../../domain/errors.ts';
import { checkTopic, createTopic, ensureTopic, type TopicOptions } from './kafka-topic.ts';

let testTopic: KafkaTestTopic;
let options: TopicOptions;

beforeEach(() => {
  testTopic = new KafkaTestTopic();
  options = { connection: testTopic.connection, topic: testTopic.topic, partitions: 2, replicas: 1 };
});

afterEach(() => testTopic.remove());

describe('the topic', () => {
  it('is created as a log needs it, once, and passes its check', async () => {
    expect(await createTopic(options)).toBe(true);
    expect(await createTopic(options)).toBe(false);
    const { metadata, problems } = await checkTopic(options);
    expect(problems).toEqual([]);
    expect(metadata?.partitions).toHaveLength(2);
    expect(metadata?.topicId).toMatch(/^[0-9a-f-]{36}$/);
  });

  it('may be created by several processes at once, and each of them finds it good', async () => {
    const found = await Promise.all(Array.from({ length: 12 }, () => ensureTopic(options)));
    expect(new Set(found.map(({ topicId }) => topicId)).size).toBe(1);
    expect(found[0]?.partitions).toHaveLength(2);
  });

  it.each([
    ['cleanup.policy', 'compact'],
    ['cleanup.policy', 'delete,compact'],
    ['retention.ms', '604800000'],
    ['retention.bytes', '1073741824'],
    ['min.insync.replicas', '2'],
    ['unclean.leader.election.enable', 'true'],
    ['message.timestamp.type', 'CreateTime'],
    ['max.message.bytes', '1048588'],
    ['compression.type', 'gzip'],
  ])('is refused while %s is %s, with the command that mends it', async (setting, value) => {
    await createTopic(options);
    await testTopic.configure(setting, value);
    // A broker takes over a changed setting a moment after it confirmed it.
    const problems = await eventually(async () => {
      const found = await checkTopic(options);
      return found.problems.length > 0 ? found.problems : null;
    });
    expect(problems).toEqual([{ setting, problem: expect.stringContaining(`is ${value} and must be `), fix: expect.any(String) }]);
    await expect(ensureTopic(options)).rejects.toSatisfy((error) => hasCode(error, 'configuration-invalid') && error.message.includes(problems[0]?.fix ?? '?'));

    const command = /^kafka-configs\.sh --bootstrap-server \S+ --alter --entity-type topics --entity-name (\S+) --add-config (\S+)=(\S+)$/.exec(problems[0]?.fix ?? '');
    expect(command?.slice(1, 3)).toEqual([options.topic, setting]);
    await testTopic.configure(setting, command?.[3] ?? '');
    expect((await checkTopic(options)).problems).toEqual([]);
  });

  it('names every wrong setting at once', async () => {
    await createTopic(options);
    await testTopic.configure('retention.ms', '1000');
    await testTopic.configure('cleanup.policy', 'compact');
    const error: unknown = await ensureTopic(options).catch((each: unknown) => each);
    expect(String(error)).toMatch(/cleanup\.policy: is compact.*\n.*kafka-configs.*\n- retention\.ms: is 1000 and must be -1: Kafka deletes history/);
  });

  it('is missing until it is created', async () => {
    expect((await checkTopic(options)).problems).toEqual([{ setting: 'topic', problem: `${options.topic} does not exist`, fix: 'daybook topic create' }]);
  });

  it('is another one after it was created anew, and parted after it grew', async () => {
    const { topicId } = await ensureTopic(options);
    const known = { topicId, partitions: 2 };
    expect((await checkTopic(options, known)).problems).toEqual([]);
    await testTopic.addPartitions(3);
    expect((await checkTopic(options, known)).problems).toMatchObject([{ setting: 'partitions', problem: expect.stringMatching(/^are 3 and were 2/) }]);
    await testTopic.recreate(2);
    expect((await checkTopic(options, known)).problems).toMatchObject([{ setting: 'topic id' }]);
  });

  it('is not created when that is forbidden, and is refused for ever when it is another one than is known', async () => {
    const forbidden = new Error('there was one');
    await expect(ensureTopic(options, { mayCreate: () => Promise.reject(forbidden) })).rejects.toBe(forbidden);
    expect((await checkTopic(options)).metadata).toBeUndefined();
    const { topicId } = await ensureTopic(options, { mayCreate: () => Promise.resolve() });
    const known = { topicId, partitions: 2, removal: 'delete the note' };
    expect((await ensureTopic(options, { known, mayCreate: () => Promise.reject(forbidden) })).topicId).toBe(topicId);
    await testTopic.recreate(2);
    const { metadata } = await checkTopic(options);
    const error: unknown = await ensureTopic(options, { known }).catch((each: unknown) => each);
    expect(error).toMatchObject({ code: 'history-lost' });
    for (const named of [topicId, metadata!.topicId, 'delete the note']) expect(String(error)).toContain(named);
  });

  it('is not known while no broker answers', async () => {
    const unreachable = { ...options, connection: { brokers: ['127.0.0.1:1'] } };
    for (const ask of [checkTopic, createTopic]) {
      await expect(ask(unreachable)).rejects.toSatisfy((error) => hasCode(error, 'log-unavailable') && error.message.includes('127.0.0.1:1'));
    }
  });
});
