import { defineConfig } from 'vitest/config'

export default defineConfig({
  test: {
    environment: 'node',
    include: ['**/*.test.ts'],
    exclude: ['**/node_modules/**', 'dist/**', '.local/**', 'test/cluster/**'],
    globalSetup: ['test/support/postgres.ts', 'test/support/functions-bundle.ts'],
    // Processes, because tests start processes and send signals; two, because a third only makes all of them slower on two cores.
    pool: 'forks',
    maxWorkers: 2,
    testTimeout: 30_000,
    hookTimeout: 30_000,
  },
})
