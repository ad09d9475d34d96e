import { readFileSync } from 'node:fs';
import { DaybookError } from '../../domain/errors.ts';
import type { Config } from '../config.ts';

/**
 * How the settings reach RabbitMQ. Only where `rabbitmqUrl` is set.
 * @throws DaybookError `configuration-invalid`, naming the setting, the rule and the fix
 */
export function rabbitmqConnectionOf({ rabbitmqUrl, rabbitmqCaFile, topic }: Config): { readonly url: string; readonly topic: string; readonly ca?: Buffer } {
  const url = rabbitmqUrl ?? '';
  if (rabbitmqCaFile === null) return { url, topic };
  if (!url.startsWith('amqps:')) throw invalid('is given, but DAYBOOK_RABBITMQ_URL is not amqps://; change it, or leave the file out');
  try {
    return { url, topic, ca: readFileSync(rabbitmqCaFile) };
  } catch (cause) {
    throw invalid(`cannot be read: ${cause instanceof Error ? cause.message : String(cause)}`, cause);
  }
}

function invalid(problem: string, cause?: unknown): DaybookError {
  return new DaybookError('configuration-invalid', `DAYBOOK_RABBITMQ_CA_FILE ${problem}`, { cause });
}
