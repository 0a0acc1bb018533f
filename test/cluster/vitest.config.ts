import { join } from 'node:path'
import { defineConfig } from 'vitest/config'
import { BaseSequencer, type TestSpecification } from 'vitest/node'

/** In the order of their names: what begins with everything at zero need not wait for what another file woke. */
class ByName extends BaseSequencer {
  override sort(files: TestSpecification[]): Promise<TestSpecification[]> {
    return Promise.resolve(files.toSorted((a, b) => (a.moduleId < b.moduleId ? -1 : 1)))
  }
}

export default defineConfig({
  root: join(import.meta.dirname, '..', '..'),
  test: {
    environment: 'node',
    include: ['test/cluster/**/*.test.ts'],
    // One cluster, one installation.
    globalSetup: [join(import.meta.dirname, 'setup.ts')],
    fileParallelism: false,
    sequence: { sequencer: ByName },
    testTimeout: 300_000,
    hookTimeout: 600_000,
    // What comes after the first failure would only wait for what cannot come.
    bail: 1,
  },
})
