import { describe, expect, test } from 'vitest'
import { play } from './harness/harness.ts'
import { mutants, SHORT } from './harness/mutants.ts'

// HARNESS_DELIVERIES and HARNESS_SEED choose another history, HARNESS_MUTANTS=all plays every mutant. For long ones there
// is npm run harness.
const { HARNESS_DELIVERIES = '2000', HARNESS_SEED = '1', HARNESS_MUTANTS = 'quick' } = process.env
const deliveries = Number(HARNESS_DELIVERIES)
const GATED = 250
const seed = Number(HARNESS_SEED)

test(`W5, W6, W9, W10, F1, F4, F7, F8, F13, F16: ${deliveries} deliveries of seed ${seed} under kills and faults: nothing lost, nothing twice`, async () => {
  const { table, findings } = await play({ deliveries, seed, seconds: Math.max(20, deliveries / 33) })
  expect(findings.slice(0, 10), `seed ${seed}, ${JSON.stringify(table)}`).toEqual([])
  expect(table['sent']).toBeGreaterThanOrEqual(deliveries)
  expect(table['pulls']).toBeGreaterThan(0)
  expect(table['faults']).toBeGreaterThan(5)
}, 900_000)

test(`P-1, F14: ${GATED} deliveries of seed ${seed} where every run waits for somebody: nothing starts that nobody let pass`, async () => {
  const { table, findings } = await play({ deliveries: GATED, seed, seconds: 20, isGated: true })
  expect(findings.slice(0, 10), `seed ${seed}, ${JSON.stringify(table)}`).toEqual([])
  expect(table['pulls']).toBeGreaterThan(0)
}, 900_000)

describe('the harness notices', () => {
  const played = HARNESS_MUTANTS === 'all' ? mutants : mutants.slice(0, 2)
  test.for(played)('$name', { timeout: 300_000 }, async ({ finds, says, ...mutant }) => {
    const { findings } = await play({ ...SHORT, seed, ...mutant })
    const found = findings.filter(({ kind }) => kind === finds).map(({ what }) => what)
    expect(found).toContainEqual(expect.stringMatching(says))
  })
})
