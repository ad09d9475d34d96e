// `make brokers-stop`: ends what `make brokers` started, and nothing else. The data stays.
import { brokers } from './brokers.mjs';
import { allOrErrors, runCommand } from './command.mjs';
import { writeEnvironmentFile } from './environment-file.mjs';
import { say } from './say.mjs';

await runCommand(async (settings) => {
  try {
    await allOrErrors(settings.only.map((name) => stopTimed(brokers[name], settings)));
  } finally {
    writeEnvironmentFile(settings);
  }
});

async function stopTimed(broker, settings) {
  const start = performance.now();
  const stopped = await broker.stop(settings);
  say(stopped ? `${broker.name} stopped (${((performance.now() - start) / 1000).toFixed(1)} s)` : `${broker.name} was not running`);
}
