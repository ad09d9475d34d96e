import { setTimeout as delay } from 'node:timers/promises';
import { expect, it } from 'vitest';
import { historiesOfTasks, isOutcome } from '../guarantees/histories-of-tasks.ts';
import { readEvidence, type Evidence } from '../guarantees/evidence.ts';
import { expectGuarantees, expectGuaranteesAtAnyMoment } from '../guarantees/guarantees.ts';
import { everyTaskEnds } from '../guarantees/every-task-ends.ts';
import { viewSaysHowTasksEnded } from '../guarantees/rebuilt-view-equals-live.ts';
import { projection, viewOf } from '../support/daybook-http.ts';
import { exitOf, groupLives, readEffects, spawnDaybook, startDaybookProcess, type DaybookProcess } from '../support/daybook-process.ts';
import { eventually } from '../support/eventually.ts';
import { seededRandom } from '../support/random.ts';
import { Submitters } from '../support/submitters.ts';
import { temporaryFolder } from '../support/temporary-folder.ts';

const kills = 50;
/** Every so many kills, what the dead process left is looked at before the next one starts. */
const inspectEvery = 10;
const settings = { DAYBOOK_WORKER_CONCURRENCY: '4', DAYBOOK_LEASE_MS: '1000' };

/** Some tasks fail once or twice first, some always, so that kills also meet retries and their decisions. */
function submission(number: number) {
  const failures = [0, 0, 0, 0, 1, 0, 0, 2, 0, 9][number % 10];
  return { type: 'scenario.effect', payload: { name: `task ${number}`, failures } };
}

it('loses nothing when its process is killed fifty times at any moment under load', { timeout: 400_000 }, async () => {
  const seed = Number(process.env['SEED'] ?? Date.now() % 1_000_000);
  console.log(`crash scenario: SEED=${seed} repeats the same moments`);
  const random = seededRandom(seed);
  const folder = `${temporaryFolder()}/data`;
  let running: DaybookProcess | null = null;
  const load = new Submitters({ url: () => running?.url ?? null, submission, clients: 6, pauseMs: 15 });

  let killedAtStart = false;
  for (let kill = 1; kill <= kills; kill += 1) {
    // Some kills come at some moment of the start. Never twice in a row: an attempt whose worker died three times in
    // a row while it ran is a crash loop by definition, and here that would be an accident of two such moments.
    killedAtStart = !killedAtStart && random() < 0.2;
    if (killedAtStart) {
      await killDuringStart(folder, random() * 1_200);
    } else {
      running = await startDaybookProcess({ folder, settings });
      await progress(folder, running.pid);
      await delay(random() * 300);
      const { pid } = running;
      await running.end('SIGKILL');
      running = null;
      expect(groupLives(pid), 'a child outlives the killed process').toBe(false);
    }
    if (kill % inspectEvery === 0) expectGuaranteesAtAnyMoment(await evidence(folder, load));
  }

  const last = (running = await startDaybookProcess({ folder, settings }));
  await load.stop();
  await eventually(async () => everyTaskEnds(await evidence(folder, load)).length === 0, { timeoutMs: 90_000 });
  const found = await evidence(folder, load);
  await eventually(async () => (await projection(last.url)).lag === 0, { timeoutMs: 20_000 });
  expect(viewSaysHowTasksEnded(found.records, await viewOf(last.url))).toEqual([]);
  expect(await last.end('SIGTERM')).toEqual({ code: 0, signal: null });

  const final = await evidence(folder, load);
  expectGuarantees(final);
  expect(load.surprises).toEqual([]);
  expect(endsThatNobodyDeserved(final)).toEqual([]);
  report(final, load);
});

async function evidence(folder: string, load: Submitters): Promise<Evidence> {
  const receipts = [...load.receipts];
  return readEvidence(folder, { receipts, effects: readEffects(folder) });
}

async function killDuringStart(folder: string, afterMs: number): Promise<void> {
  const child = spawnDaybook({ folder, settings });
  await delay(afterMs);
  child.kill('SIGKILL');
  await exitOf(child);
}

/** Until the process has run handlers, those that it took over from its predecessor first. */
function progress(folder: string, pid: number): Promise<boolean> {
  return eventually(() => readEffects(folder).filter((effect) => effect.pid === pid).length >= 12, { timeoutMs: 30_000 });
}

/** Each task ends as its submission says, whatever was killed meanwhile; least of all as a crash loop. */
function endsThatNobodyDeserved({ records }: Evidence): string[] {
  return [...historiesOfTasks(records)].flatMap(([taskId, history]) => {
    const accepted = history.find(({ type }) => type === 'TaskAccepted');
    const { failures = 0 } = (accepted?.data['payload'] ?? {}) as { readonly failures?: number };
    const expected = failures < 3 ? `TaskExecutionCompleted in attempt ${failures + 1}` : 'TaskFailedPermanently attempts-exhausted';
    const end = history.findLast(({ type }) => type === 'TaskExecutionCompleted' || type === 'TaskFailedPermanently');
    const found = end?.type === 'TaskExecutionCompleted' ? `${end.type} in attempt ${end.data.attempt}` : `${end?.type} ${end?.data.reason}`;
    return found === expected ? [] : [`${taskId} ended by ${found}, not by ${expected}`];
  });
}

/** What was reached: a run in which no kill hit anything would prove nothing. */
function report({ records, effects }: Evidence, { receipts, broken }: Submitters): void {
  const histories = [...historiesOfTasks(records).values()];
  const count = (type: string) => histories.flat().filter((event) => event.type === type).length;
  const surplus = count('TaskExecutionStarted') - histories.flat().filter(isOutcome).length;
  const copies = records.length - histories.flat().length;
  console.log(
    `crash scenario: ${receipts.length} receipts (${broken} calls broke off), ${records.length} records of which ${copies} copies, ` +
      `${count('TaskExecutionStarted')} executions of which ${surplus} surplus, ${effects?.length} effects`,
  );
  expect(surplus, 'no kill hit a running handler').toBeGreaterThan(0);
  expect(broken, 'no kill hit a submission').toBeGreaterThan(0);
}
