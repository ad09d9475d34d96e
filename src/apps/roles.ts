import { hostname } from 'node:os';
import type { Role } from './config.ts';

/** `/daybook/<role>/<instance>`: who wrote an event. */
export function sourceOf(role: Role): string {
  return `/daybook/${role}/${instance}`;
}

/** Names this process among the others of its role, for people who read history. */
export const instance = `${hostname()}-${process.pid}`;
