import { Registry } from 'prom-client';
import { expect, it, onTestFinished } from 'vitest';
import { diaryRig, silentLogger } from '../../test/support/diary-rig.ts';
import { taskId } from '../../test/support/stored-records.ts';
import { history } from '../../test/support/task-history.ts';
import { HttpApp } from '../apps/http/http-app.ts';
import { PortsModule } from '../apps/ports.module.ts';
import { DiaryModule } from './diary.module.ts';

const id = taskId(1);
const finished = history(id).accepted().dispatched(1).started(1, 'e-1').completed(1, 'e-1').records;

/** The diary's routes over a read model that has seen the records. */
async function diaryEdge() {
  const rig = diaryRig();
  const projector = await rig.startProjector();
  await rig.append(...finished);
  await rig.caughtUp();
  const ports = PortsModule.of({ eventReader: rig.reader, projectionReader: rig.projections, clock: rig.clock });
  const app = await HttpApp.create({
    module: DiaryModule.register(ports, projector),
    roles: new Set(['diary']),
    source: () => ({ health: () => [], registry: new Registry() }),
    logger: silentLogger,
    apiKeys: null,
    bodyLimitBytes: 1_000,
    version: 'test',
  });
  onTestFinished(() => app.close());
  const call = async (method: 'GET' | 'POST', url: string) => {
    const answer = await app.inject({ method, url });
    return { status: answer.statusCode, contentType: String(answer.headers['content-type']), body: answer.json<Record<string, unknown>>() };
  };
  return { rig, call };
}

const asOf = { positions: { 0: 4 }, time: expect.stringMatching(/Z$/), lagMs: 0 };

it.each([
  [`/v1/tasks/${id}`, { id, state: 'completed', asOf }],
  [`/v1/tasks/${id}?wait=1000`, { state: 'completed', asOf }],
  [`/v1/tasks/${id}?asOf=1`, { state: 'accepted', asOf: { positions: { 0: 1 } } }],
  [`/v1/tasks/${id}/events?limit=1`, { items: [{ type: 'TaskAccepted', offset: 0 }], next: '1', asOf }],
  [`/v1/tasks/${id}/attempts`, { items: [{ attempt: 1, executionId: 'e-1', outcome: 'completed' }], next: null, asOf }],
  ['/v1/tasks?q=state:completed&limit=1', { items: [{ id, state: 'completed' }], next: null, asOf }],
  ['/v1/log?offset=3', { items: [{ partition: 0, offset: 3, topic: 'task-lifecycle' }], next: null, asOf }],
  ['/v1/projections', { items: [{ name: 'tasks', state: 'live', positions: { 0: 4 }, lag: 0, lastRebuild: { equal: null } }], next: null, asOf }],
])('GET %s', async (url, body) => {
  const { call } = await diaryEdge();
  expect(await call('GET', url)).toMatchObject({ status: 200, contentType: expect.stringMatching(/^application\/json/), body });
});

it.each([
  [`/v1/tasks/${taskId(2)}`, { status: 404, code: 'task-not-found' }],
  ['/v1/tasks/nonsense', { status: 404, code: 'task-not-found' }],
  [`/v1/tasks/${id}?wait=soon`, { status: 400, code: 'invalid-parameter', errors: [{ pointer: 'wait', detail: 'must be a whole number from 0 to 60000' }] }],
  ['/v1/tasks?q=stat:failed', { status: 400, code: 'invalid-filter', detail: expect.stringContaining("did you mean 'state'?") }],
  ['/v1/tasks?cursor=x', { status: 400, code: 'invalid-cursor' }],
  ['/v1/tasks?limit=1&limit=2', { status: 400, code: 'invalid-parameter' }],
  ['/v1/log?partition=3', { status: 400, code: 'invalid-parameter' }],
])('GET %s is a problem', async (url, problem) => {
  const { call } = await diaryEdge();
  const answer = await call('GET', url);
  expect(answer).toMatchObject({ status: problem.status, contentType: expect.stringMatching(/^application\/problem\+json/), body: problem });
});

it('starts a rebuild with 202 and its operation, and knows no other projection', async () => {
  const { call } = await diaryEdge();
  expect(await call('POST', '/v1/projections/tasks/rebuild')).toMatchObject({ status: 202, body: { operation: expect.stringMatching(/^rebuild-tasks-/) } });
  expect(await call('POST', '/v1/projections/orders/rebuild')).toMatchObject({ status: 404, body: { code: 'projection-not-found' } });
});

it('answers 503 with Retry-After while the tables are gone', async () => {
  const { rig, call } = await diaryEdge();
  rig.dropTables();
  expect(await call('GET', `/v1/tasks/${id}`)).toMatchObject({ status: 503, body: { code: 'rebuilding' } });
});
