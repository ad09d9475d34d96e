import { defineTask, handle, startDaybook } from 'daybook';
import { z } from 'zod';

const greet = defineTask({ type: 'greet', payload: z.object({ name: z.string() }), result: z.string() });

const daybook = await startDaybook({ tasks: [handle(greet, ({ name }) => `Hello, ${name}!`)] });

const { id, receipt } = await daybook.submit(greet, { name: 'Ada' });
console.log(`accepted: record ${receipt.offset} of the log`);

const task = await daybook.wait(id);
console.log(`${task.state}: ${task.result}`);

await daybook.stop();
