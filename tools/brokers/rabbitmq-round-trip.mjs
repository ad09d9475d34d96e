import amqp from 'amqplib';

/**
 * Logs in, declares a queue, publishes a message with a confirm and gets it back. A broker with a memory or disk alarm
 * logs in and declares, but never confirms: the error then carries its reason. Bounded by its caller's limit and by
 * the closing of the connection.
 */
export async function rabbitmqRoundTrip(url) {
  const connection = await amqp.connect(`${url}?heartbeat=5`, { timeout: 3_000, clientProperties: { connection_name: 'brokers-check' } });
  const failed = new Promise((_, reject) => {
    connection.on('error', reject);
    connection.on('blocked', (reason) => reject(new Error(`publishing is blocked: ${reason}`)));
    setTimeout(() => reject(new Error('no confirm within 4 s')), 4_000).unref();
  });
  failed.catch(() => {}); // a close after the round trip concerns nobody
  try {
    await Promise.race([sendAndGet(connection), failed]);
  } finally {
    await Promise.race([connection.close().catch(() => {}), new Promise((resolve) => setTimeout(resolve, 500).unref())]);
  }
}

async function sendAndGet(connection) {
  const channel = await connection.createConfirmChannel();
  channel.on('error', () => {}); // reaches the pending call as its rejection
  const { queue } = await channel.assertQueue('', { exclusive: true });
  channel.sendToQueue(queue, Buffer.from('round trip'));
  await channel.waitForConfirms();
  const message = await channel.get(queue, { noAck: true });
  if (message === false) throw new Error('the confirmed message is not in its queue');
}
