import { defineConfig } from 'vitest/config';

/** The adapters' contracts on real servers, which `make brokers` brings up. */
const onBrokers = 'src/adapters/{kafka,rabbitmq,postgres}/**/*.int.test.ts';

export default defineConfig({
  // Nest's modules and controllers use the older decorators; the tests read them unbuilt.
  oxc: { decorator: { legacy: true } },
  test: {
    projects: [
      {
        extends: true,
        test: {
          name: 'unit',
          include: ['src/**/*.test.ts', 'test/architecture/**/*.test.ts', 'test/histories/**/*.test.ts', 'tools/**/*.test.ts'],
          exclude: ['src/**/*.int.test.ts'],
        },
      },
      {
        extends: true,
        test: {
          name: 'contracts',
          include: ['test/contracts/**/*.test.ts', 'src/**/*.int.test.ts'],
          exclude: [onBrokers],
          testTimeout: 30_000,
        },
      },
      {
        extends: true,
        test: {
          name: 'brokers',
          include: [onBrokers, 'test/brokers/**/*.test.ts'],
          pool: 'forks',
          fileParallelism: false,
          testTimeout: 120_000,
          hookTimeout: 60_000,
        },
      },
      {
        extends: true,
        test: {
          name: 'scenarios',
          include: ['test/scenarios/**/*.test.ts'],
          pool: 'forks',
          fileParallelism: false,
          testTimeout: 180_000,
          hookTimeout: 60_000,
        },
      },
    ],
  },
});
