import type { Heartbeat } from '../domain/heartbeat.ts';

/**
 * Tells others that a worker is there and what it holds. Operational, not history: kept for a short time, and nothing
 * is decided from it but which jobs nobody holds.
 */
export interface PresenceWriter {
  /**
   * Publishes one heartbeat; those of one worker arrive in the order of the calls.
   * Durability: none is promised. A heartbeat that was lost is made up for by the next one.
   * @throws DaybookError `log-unavailable`: it was not taken; the caller goes on with the next one
   */
  write(heartbeat: Heartbeat): Promise<void>;
}
