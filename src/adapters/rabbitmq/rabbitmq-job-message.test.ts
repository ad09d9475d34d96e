import { describe, expect, it } from 'vitest';
import type { Job } from '../../domain/job.ts';
import { decodeJob, encodeJob, jobProperties } from './rabbitmq-job-message.ts';

const job: Job = { taskId: 't1', attempt: 2, issue: 3, queue: 'default', type: 'mail.send', typeVersion: 4, payload: { to: 'ü' }, timeoutMs: 30_000, expiresAtMs: 1_767_225_600_123 };

describe('the job message', () => {
  it('has the published form', () => {
    expect(JSON.parse(encodeJob(job).toString())).toEqual({
      taskId: 't1',
      attempt: 2,
      issue: 3,
      queue: 'default',
      type: 'mail.send',
      typeVersion: 4,
      payload: { to: 'ü' },
      timeoutMs: 30_000,
      expiresAt: '2026-01-01T00:00:00.123Z',
    });
    expect(jobProperties(job)).toEqual({ contentType: 'application/json', messageId: 't1:2', type: 'mail.send' });
  });

  it('is read back as it was written', () => {
    for (const each of [job, { ...job, expiresAtMs: null, payload: null }]) expect(decodeJob(encodeJob(each))).toEqual(each);
  });

  it('bears the trace in its headers, and ignores what is none', () => {
    const traceparent = '00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01';
    const traced = { ...job, traceparent };
    expect(encodeJob(traced)).toEqual(encodeJob(job));
    expect(jobProperties(traced)).toEqual({ ...jobProperties(job), headers: { traceparent } });
    expect(decodeJob(encodeJob(job), { traceparent })).toEqual(traced);
    for (const none of [17, 'x', 'x'.repeat(100_000)]) expect(decodeJob(encodeJob(job), { traceparent: none })).toEqual(job);
  });

  it('takes an expiry from any zone, as other programs may write it', () => {
    const body = Buffer.from(JSON.stringify({ ...(JSON.parse(encodeJob(job).toString()) as object), expiresAt: '2026-01-01T02:00:00.123+02:00' }));
    expect(decodeJob(body)?.expiresAtMs).toBe(job.expiresAtMs);
  });

  it.each([
    ['no JSON', 'hello'],
    ['no object', '[1]'],
    ['null', 'null'],
    ['nothing', ''],
    ['a task id that is no text', without({ taskId: 17 })],
    ['no payload', without({ payload: undefined })],
    ['half an attempt', without({ attempt: 1.5 })],
    ['a negative issue', without({ issue: -1 })],
    ['an expiry that is no instant', without({ expiresAt: 'tomorrow' })],
    ['an expiry as a number', without({ expiresAt: 1_767_225_600_123 })],
    ['no expiry', without({ expiresAt: undefined })],
  ])('is none with %s', (_, body) => {
    expect(decodeJob(Buffer.from(body))).toBeNull();
  });
});

function without(change: object): string {
  return JSON.stringify({ ...(JSON.parse(encodeJob(job).toString()) as object), ...change });
}
