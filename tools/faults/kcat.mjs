import { spawn } from 'node:child_process';
import { createWriteStream } from 'node:fs';
import { pipeline } from 'node:stream/promises';
import { waitUntil } from '../brokers/wait-until.mjs';
import { kcatFormat } from './log-line.ts';

/** Writes all records of the topic into the file, as kcat reads them from the beginning of each partition, checksums verified. */
export async function dumpTopic(addresses, topic, file) {
  const options = ['-o', 'beginning', '-e', '-q', '-X', 'check.crcs=true', '-X', 'auto.offset.reset=error'];
  await run(['-C', '-b', addresses.join(','), '-t', topic, ...options, '-f', kcatFormat], { limitMs: 120_000, file });
}

/**
 * Until a record that kcat writes is acknowledged by all replicas in sync: what the cluster allows, whatever the product
 * makes of it. Every attempt is a new process that knows nothing of the former.
 * @returns when that was, epoch milliseconds
 */
export async function judgeCanWrite(addresses, topic) {
  const limits = ['-X', 'acks=all', '-X', 'message.timeout.ms=1500', '-X', 'socket.timeout.ms=1500'];
  const attempt = () => run(['-P', '-b', addresses.join(','), '-t', topic, '-p', '0', '-q', ...limits], { limitMs: 4_000, input: 'is anybody there' });
  await waitUntil(attempt, { limitMs: 120_000, everyMs: 50 });
  return Date.now();
}

async function run(args, { limitMs, file, input = '' }) {
  const child = spawn('kcat', args, { stdio: ['pipe', 'pipe', 'pipe'], timeout: limitMs, killSignal: 'SIGKILL' });
  let complaint = '';
  child.stderr.on('data', (data) => (complaint = `${complaint}${data}`.slice(-2_000)));
  child.stdin.on('error', () => undefined); // it ended early: its exit code says so
  child.stdin.end(input);
  const ended = new Promise((resolve, reject) => {
    child.once('error', reject);
    child.once('close', (code, signal) => (code === 0 ? resolve() : reject(new Error(`kcat ended with ${code ?? signal}: ${complaint}`))));
  });
  const stored = file ? pipeline(child.stdout, createWriteStream(file)) : child.stdout.resume();
  await Promise.all([ended, stored]);
  if (/delivery failed/i.test(complaint)) throw new Error(`kcat: ${complaint}`);
}
