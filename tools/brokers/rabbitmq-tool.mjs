// `node tools/brokers/rabbitmq-tool.mjs rabbitmqctl list_queues`: Debian's RabbitMQ tools, pointed at our broker.
import { spawnSync } from 'node:child_process';
import { rabbitmqTool } from './rabbitmq.mjs';
import { readSettings } from './settings.mjs';

const [tool = 'rabbitmqctl', ...args] = process.argv.slice(2);
const { command, environment } = rabbitmqTool(readSettings(process.env), tool);
const { status, error } = spawnSync(command, args, { stdio: 'inherit', env: { ...process.env, ...environment } });
if (error) process.stderr.write(`${error.message}\n`);
process.exitCode = status ?? 1;
