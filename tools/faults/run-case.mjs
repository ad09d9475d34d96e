import { mkdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { Admin } from '@platformatic/kafka';
import { createTopic } from '../../src/adapters/kafka/kafka-topic.ts';
import { acknowledgedPerCase } from './cases.mjs';
import { Child } from './child.mjs';
import { inject } from './inject.mjs';
import { judge } from './judge.ts';
import { dumpTopic } from './kcat.mjs';
import { parseKcatLine } from './log-line.ts';
import { timesOf } from './times.ts';

/** 400 keys, each at most ten records a second: up to 4,000 a second, with 400 under way when a fault comes. */
const load = { keys: 400, roundMs: 100 };
const writingBeforeMs = 5_000;
const writingAfterMs = 5_000;

/**
 * Writes and reads through the product while the fault is there, then lets kcat judge. Rejects when the case could not
 * be done, a fault that was not there included.
 * @returns the verdict, with times
 */
export async function runCase(each, cluster, folder) {
  mkdirSync(folder, { recursive: true });
  await cluster.start(each.nodes);
  const topic = `faults-${each.name}-${Date.now()}`;
  const probe = `${topic}-probe`;
  const connection = { brokers: cluster.addresses, clientId: 'faults' };
  for (const [name, partitions] of [[topic, 12], [probe, 1]]) {
    await createTopic({ connection, topic: name, partitions });
    await cluster.whole(name);
  }
  const { outages, lines } = await writeAndRead(each, cluster, { topic, probe, folder });
  const verdict = judge(lines.written, lines.log, lines.read);
  await removeTopics(connection, [topic, probe]);
  return { ...verdict, ...timesOf(lines.written, outages), proofs: outages.map(({ proof }) => proof) };
}

async function writeAndRead(each, cluster, { topic, probe, folder }) {
  const files = { written: join(folder, 'written'), log: join(folder, 'kcat'), read: join(folder, 'read') };
  const brokers = cluster.addresses;
  const children = [];
  const startChild = (name, options) => {
    children.push(new Child(name, { brokers, topic, ...options }));
    return children.at(-1);
  };
  const startBoth = () => ({ reader: startChild('reader', { file: files.read }), writer: startChild('writer', { file: files.written, ...load }) });
  try {
    const { writer, reader, outages } = await (each.beforeWriter ? faultFirst : writingFirst)(each, cluster, { topic, probe, startBoth });
    await pause(writingAfterMs);
    await writer.until(({ acknowledged }) => acknowledged >= acknowledgedPerCase, 180_000);
    await writer.finish('stop', 60_000);
    await dumpTopic(brokers, topic, files.log);
    const log = linesOf(files.log, 'latin1').map(parseKcatLine);
    await reader.finish(endsOf(log), 60_000);
    return { outages, lines: { log, written: linesOf(files.written, 'utf8').map(JSON.parse), read: linesOf(files.read, 'utf8').map(JSON.parse) } };
  } finally {
    await Promise.all(children.map((child) => child.kill()));
  }
}

async function writingFirst(each, cluster, { topic, probe, startBoth }) {
  const { writer, reader } = startBoth();
  await writer.until(({ acknowledged }) => acknowledged > 1_000, 60_000);
  await pause(writingBeforeMs);
  const outages = await inject(each, cluster, { topic, probe, lastAcknowledgedMs: () => writer.progress.lastAcknowledgedMs });
  return { writer, reader, outages };
}

/** Writer and reader start when the servers are gone. */
async function faultFirst(each, cluster, { topic, probe, startBoth }) {
  let both;
  const onInjected = () => (both = startBoth());
  const outages = await inject(each, cluster, { topic, probe, onInjected, lastAcknowledgedMs: () => both.writer.progress.lastAcknowledgedMs ?? 0 });
  return { ...both, outages };
}

function linesOf(file, encoding) {
  return readFileSync(file, encoding).split('\n').filter((line) => line !== '');
}

function endsOf(log) {
  return [...new Map(log.map(({ partition, offset }) => [partition, offset + 1]))];
}

async function removeTopics(connection, topics) {
  const admin = new Admin({ clientId: 'faults', bootstrapBrokers: connection.brokers, retries: 3, requestTimeout: 10_000 });
  try {
    await admin.deleteTopics({ topics });
  } finally {
    await admin.close();
  }
}
