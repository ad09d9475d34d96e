import { runCommandLine } from './command-line.ts';

// A reader that has seen enough, such as `head`, closes the pipe: nothing went wrong, and nobody is left to write for.
for (const stream of [process.stdout, process.stderr]) {
  stream.on('error', (error: NodeJS.ErrnoException) => {
    if (error.code === 'EPIPE') process.exit(0);
    throw error;
  });
}

/** How long a finished command may take to let go of its last handles, such as idle connections. */
const lingerMs = 1_000;

process.exitCode = await runCommandLine(process.argv.slice(2), {
  // eslint-disable-next-line no-restricted-properties -- the entry hands the environment on; settings are read in apps/config.ts
  environment: process.env,
  stdin: process.stdin,
  stdout: process.stdout,
  stderr: process.stderr,
});
setTimeout(() => process.exit(), lingerMs).unref();
