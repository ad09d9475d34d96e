import { subscribe } from 'node:diagnostics_channel';
import type { Socket } from 'node:net';

// Loaded into a dispatcher before its own code (`atDispatch` in brokers-system.ts). It strikes at the one moment that
// kills and freezes from outside hardly ever meet: the job is on its way to RabbitMQ, its dispatch is not recorded.

const { AT_DISPATCH_OF: text = '', AT_DISPATCH: what = '', DAYBOOK_KAFKA_BROKERS = '', DAYBOOK_RABBITMQ_URL = '' } = process.env;
const kafkaPorts = new Set(DAYBOOK_KAFKA_BROKERS.split(',').map((broker) => Number(broker.split(':').at(-1))));
const rabbitmqPort = Number(new URL(DAYBOOK_RABBITMQ_URL).port);

const kafka = new Set<Socket>();
let struck = false;

subscribe('net.client.socket', (message) => {
  const { socket } = message as { readonly socket: Socket };
  socket.once('connect', () => {
    if (socket.remotePort === rabbitmqPort) strikeWithJob(socket);
    if (!kafkaPorts.has(socket.remotePort ?? 0)) return;
    kafka.add(socket);
    if (struck && what === 'stall-kafka') stall(socket);
  });
});

function strikeWithJob(socket: Socket): void {
  const write = socket.write.bind(socket) as (chunk: Uint8Array, ...rest: never[]) => boolean;
  socket.write = ((chunk: Uint8Array, ...rest: never[]) => {
    const written = write(chunk, ...rest);
    if (!struck && Buffer.from(chunk).includes(text)) strike();
    return written;
  }) as Socket['write'];
}

function strike(): void {
  struck = true;
  if (what === 'freeze') process.kill(process.pid, 'SIGSTOP');
  else for (const socket of kafka) stall(socket);
}

/** From now on nothing leaves and nothing arrives, as from a server that is frozen. */
function stall(socket: Socket): void {
  socket.pause();
  socket.cork();
}
