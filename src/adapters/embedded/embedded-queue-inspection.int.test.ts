import { expect, it } from 'vitest';
import { queueInspectionContract } from '../../../test/contracts/queue-inspection.contract.ts';
import { openEmbeddedAdapters } from '../../../test/support/embedded-adapters.ts';
import { embeddedQueueInspectionHarness } from '../../../test/support/embedded-harness.ts';
import { eventually } from '../../../test/support/eventually.ts';
import { temporaryFolder } from '../../../test/support/temporary-folder.ts';
import { hasCode } from '../../domain/errors.ts';
import type { Job } from '../../domain/job.ts';
import type { JobDelivery } from '../../ports/job-receiver.ts';
import { EmbeddedQueueInspection } from './embedded-queue-inspection.ts';

queueInspectionContract({
  name: 'embedded',
  missing: { 'silent queue': 'a file that is open can be read; a closed one has a test below' },
  create: embeddedQueueInspectionHarness,
});

it('counts jobs that wait in the file alone, also those of a former process', async () => {
  const folder = temporaryFolder();
  const first = openEmbeddedAdapters(folder);
  const jobs = Array.from({ length: 2_600 }, (_, index) => job(index));
  await Promise.all(jobs.map((each) => first.sender.send(each)));
  expect(await new EmbeddedQueueInspection(first.jobs).readyJobs('default')).toBe(2_600);
  await first.close();

  const second = openEmbeddedAdapters(folder);
  const inspection = new EmbeddedQueueInspection(second.jobs);
  expect(await inspection.readyJobs('default')).toBe(2_600);
  const held: JobDelivery[] = [];
  second.receiver.consume('default', 700, (delivery) => held.push(delivery));
  await eventually(() => held.length === 700);
  expect(await inspection.readyJobs('default')).toBe(1_900);
  await second.close();
  await expect(inspection.readyJobs('default')).rejects.toSatisfy((error) => hasCode(error, 'queue-unavailable'));
});

function job(index: number): Job {
  return { taskId: `task-${index}`, attempt: 1, issue: 1, queue: 'default', type: 'test.nothing', typeVersion: 1, payload: null, timeoutMs: 30_000, expiresAtMs: null };
}
