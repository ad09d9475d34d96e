// The task of the benchmark, as a module for DAYBOOK_TASKS. Counts the runs of its handler; where the environment
// names a file (the server of the HTTP case), the count is left there when the process ends.
import { writeFileSync } from 'node:fs';
import { z } from 'zod';
import { defineTask, handle } from '../dist/index.js';

export const noop = defineTask({ type: 'bench.noop', payload: z.object({ number: z.number(), note: z.string() }) });

export let executions = 0;

const countFile = process.env.BENCH_EXECUTIONS_FILE;
if (countFile) process.once('exit', () => writeFileSync(countFile, String(executions)));

export default [
  handle(noop, () => {
    executions++;
    return null;
  }),
];
