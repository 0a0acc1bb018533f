import { join } from 'node:path'
import { defineConfig } from 'vitest/config'

export default defineConfig({
  root: join(import.meta.dirname, '..', '..'),
  test: {
    environment: 'node',
    include: ['test/cluster/**/*.test.ts'],
    // One cluster, one namespace.
    fileParallelism: false,
    testTimeout: 300_000,
    hookTimeout: 600_000,
    // What comes after the first failure would only wait for what cannot come.
    bail: 1,
  },
})
