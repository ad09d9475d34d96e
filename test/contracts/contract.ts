import { describe, it } from 'vitest';

/** One promise of a port, as a check that passes or throws. */
export interface ContractCheck<Harness, Capability extends string = never> {
  /** A sentence stating the rule. */
  readonly name: string;
  /** What the harness must be able to do for it. */
  readonly needs?: Capability;
  run(harness: Harness): Promise<void>;
}

/** How one adapter is put under a contract. */
export interface AdapterUnderTest<Harness extends ContractHarness, Capability extends string = never> {
  readonly name: string;
  /** Capabilities that this harness does not have, each with the reason, which is printed with the skipped check. */
  readonly missing?: { readonly [Name in Capability]?: string };
  /** A harness of its own for every check, on empty data. Called inside a test. */
  create(): Promise<Harness>;
}

export interface ContractHarness {
  /** Closes whatever is still open, and removes it. Idempotent. */
  close(): Promise<void>;
}

/** Registers every check as a test. */
export function describeContract<Harness extends ContractHarness, Capability extends string>(
  port: string,
  checks: readonly ContractCheck<Harness, Capability>[],
  adapter: AdapterUnderTest<Harness, Capability>,
): void {
  describe(`${port}: ${adapter.name}`, () => {
    for (const check of checks) {
      const reason = check.needs && adapter.missing?.[check.needs];
      if (reason === undefined) it(check.name, () => runCheck(check, adapter));
      else it.skip(`${check.name} (${adapter.name} cannot show it: ${reason})`);
    }
  });
}

/** Runs checks without registering them, all at once, and returns the names of those that the adapter breaks. Call it inside a test. */
export async function brokenChecks<Harness extends ContractHarness, Capability extends string>(
  checks: readonly ContractCheck<Harness, Capability>[],
  adapter: Pick<AdapterUnderTest<Harness, Capability>, 'create'>,
): Promise<string[]> {
  const results = await Promise.allSettled(checks.map((check) => runCheck(check, adapter)));
  return checks.filter((_, index) => results[index]?.status === 'rejected').map(({ name }) => name);
}

async function runCheck<Harness extends ContractHarness, Capability extends string>(
  check: ContractCheck<Harness, Capability>,
  adapter: Pick<AdapterUnderTest<Harness, Capability>, 'create'>,
): Promise<void> {
  const harness = await adapter.create();
  try {
    await check.run(harness);
  } finally {
    await harness.close();
  }
}
