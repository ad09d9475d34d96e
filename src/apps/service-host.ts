import type { BeforeApplicationShutdown, OnApplicationBootstrap } from '@nestjs/common';
import type { Clock } from '../ports/clock.ts';
import type { Logger } from '../ports/logger.ts';
import type { DependencyHealth, Service } from '../ports/service.ts';

/**
 * The one bridge from NestJS's lifecycle to services: starts them in order once the application stands, and stops
 * them in reverse, all within one deadline. Only this file decides that a process dies of a service.
 */
export class ServiceHost implements OnApplicationBootstrap, BeforeApplicationShutdown {
  readonly #services: readonly Service[];
  readonly #drainMs: number;
  readonly #clock: Clock;
  readonly #logger: Logger;
  #started = false;
  #stopping = false;

  constructor(services: readonly Service[], drainMs: number, clock: Clock, logger: Logger) {
    this.#services = services;
    this.#drainMs = drainMs;
    this.#clock = clock;
    this.#logger = logger;
  }

  async onApplicationBootstrap(): Promise<void> {
    for (const service of this.#services) await service.start();
    this.#started = true;
  }

  async beforeApplicationShutdown(): Promise<void> {
    this.#stopping = true;
    const deadlineMs = this.#clock.monotonicMs() + this.#drainMs;
    for (const service of this.#services.toReversed()) {
      try {
        await service.stop(Math.max(0, deadlineMs - this.#clock.monotonicMs()));
      } catch (error) {
        // The others still have to give back what they hold; what this one held comes again after its lease.
        this.#logger.error({ service: service.name, error: String(error) }, 'service did not stop in order');
      }
    }
  }

  /** What the process needs, by name. Not ready before the services started, nor once they are told to stop. */
  health(): readonly DependencyHealth[] {
    const own: DependencyHealth = {
      name: 'process',
      ok: this.#started && !this.#stopping,
      detail: this.#stopping ? 'draining' : this.#started ? 'running' : 'starting',
    };
    const named = this.#services.flatMap((service) =>
      service.health().map((dependency) => ({ ...dependency, name: `${service.name}.${dependency.name}` })),
    );
    return [own, ...named];
  }
}
