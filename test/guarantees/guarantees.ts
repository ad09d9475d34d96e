import { expect } from 'vitest';
import { acceptedMeansRecorded } from './accepted-means-recorded.ts';
import { effectsHaveStarts } from './effects-have-starts.ts';
import { eventIds } from './event-ids.ts';
import { everyTaskEnds } from './every-task-ends.ts';
import type { Evidence } from './evidence.ts';
import { oneDispatchPerAttempt } from './one-dispatch-per-attempt.ts';
import { orderPerTask } from './order-per-task.ts';
import { outcomeBeforeAck } from './outcome-before-ack.ts';
import { recordForm } from './record-form.ts';
import { shutdownLosesNothing } from './shutdown-loses-nothing.ts';

/** A checker gives one sentence for each violation, with its address in the log. */
type Checker = (evidence: Evidence) => readonly string[];

/** They hold at every moment, also in what a killed process leaves behind. */
const always: Readonly<Record<string, Checker>> = {
  'G1 accepted means recorded': acceptedMeansRecorded,
  'G2 order per task': orderPerTask,
  'G3 one dispatch per attempt': oneDispatchPerAttempt,
  'G4 outcome before ack': outcomeBeforeAck,
  'record form': recordForm,
  'event ids': eventIds,
  'effects have starts': effectsHaveStarts,
};

/** These hold once everything has come to its end. */
const atQuiescence: Readonly<Record<string, Checker>> = {
  ...always,
  'G5 every task ends': (evidence) => everyTaskEnds(evidence),
  'G8 shutdown loses nothing': shutdownLosesNothing,
};

/** Fails with every violation. For a run that is still going on, or was cut off. */
export function expectGuaranteesAtAnyMoment(evidence: Evidence): void {
  expect(violations(always, evidence)).toEqual({});
}

/** Fails with every violation. For a run in which everything has come to its end. */
export function expectGuarantees(evidence: Evidence): void {
  expect(violations(atQuiescence, evidence)).toEqual({});
}

/** The first violations by guarantee, so that a broken run does not fill the screen. */
export function violations(checkers: Readonly<Record<string, Checker>>, evidence: Evidence): Record<string, readonly string[]> {
  const found = Object.entries(checkers).map(([name, check]) => [name, check(evidence).slice(0, 10)] as const);
  return Object.fromEntries(found.filter(([, sentences]) => sentences.length > 0));
}

export { always as guaranteesAtAnyMoment, atQuiescence as guaranteesAtQuiescence };
