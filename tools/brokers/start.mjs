// `make brokers`: Kafka, RabbitMQ and PostgreSQL on loopback, without Docker. Prints the DAYBOOK_* lines on stdout.
import { brokers } from './brokers.mjs';
import { allOrErrors, runCommand } from './command.mjs';
import { environmentLines, writeEnvironmentFile } from './environment-file.mjs';
import { installMissing } from './packages.mjs';
import { say } from './say.mjs';

await runCommand(async (settings) => {
  const chosen = settings.only.map((name) => brokers[name]);
  installMissing(chosen.flatMap((broker) => broker.wants()), settings.folder);
  for (const broker of chosen) broker.prepare();
  try {
    await allOrErrors(chosen.map((broker) => startTimed(broker, settings)));
  } finally {
    writeEnvironmentFile(settings);
  }
  process.stdout.write(environmentLines(settings, settings.only));
});

async function startTimed(broker, settings) {
  const start = performance.now();
  await broker.start(settings);
  say(`${broker.name} answers (${((performance.now() - start) / 1000).toFixed(1)} s)`);
}
