import { expect, it } from 'vitest';
import { expectGuarantees } from '../guarantees/guarantees.ts';
import { BrokersSystem } from '../support/brokers-system.ts';
import { finished, get, submit, untilReady } from '../support/daybook-http.ts';
import { ownServer } from '../support/own-server.ts';

const servers = (['kafka', 'rabbitmq', 'postgres'] as const).map(ownServer).filter((server) => server !== null);

it.skipIf(servers.length < 3)('starts every role while no server is there, and all begin to work by themselves when they come', { timeout: 240_000 }, async () => {
  const system = new BrokersSystem();
  await Promise.all(servers.map((server) => server.begin('stopped')));
  const roles = await system.startAll();
  for (const role of Object.values(roles)) expect(await get(`${role.url}/readyz`)).toMatchObject({ status: 503 });

  await Promise.all(servers.map((server) => server.bringBack()));
  // All four find the topic missing at the same moment, and one of them creates it.
  for (const role of Object.values(roles)) await untilReady(role.url, 30_000);
  const receipts = await Promise.all(Array.from({ length: 10 }, (_, index) => submit(roles.api.url, { type: 'scenario.effect', payload: { name: `${index}` } })));
  for (const { id } of receipts) expect(await finished(roles.diary.url, id)).toMatchObject({ state: 'completed', attempt: 1 });
  expectGuarantees(await system.evidence(receipts));
});
