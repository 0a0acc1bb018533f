import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { describe, expect, onTestFinished, test } from 'vitest'
import { spawnNode } from '../support/processes.ts'
import { eventually } from '../support/wait.ts'
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

test('a Ctrl-C ends everything that the harness has started', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'codex-k8s-interrupted-'))
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }))
  const script = fileURLToPath(new URL('harness/run.ts', import.meta.url))
  const harness = spawnNode(script, { args: ['--deliveries', '200', '--no-faults'], env: { TMPDIR: folder } })
  // Then there are agents, too.
  await harness.waitForLine(/deliveries wait/, 200_000)
  const ours = () =>
    readdirSync('/proc').filter((pid) =>
      ['cmdline', 'environ'].some((file) => textOf(`/proc/${pid}/${file}`).includes(`${folder}/`)),
    )
  await eventually(() => (ours().length > 10 ? true : undefined), { what: 'a system', timeoutMs: 60_000 })
  expect(await harness.kill('SIGINT')).toEqual({ code: 130, signal: null })
  await eventually(() => (ours().length === 0 ? true : undefined), { what: 'nobody left', timeoutMs: 60_000 })
  expect(readdirSync(folder)).toEqual([])
}, 300_000)

function textOf(path: string): string {
  try {
    return readFileSync(path, 'latin1')
  } catch {
    return ''
  }
}

describe('the harness notices', () => {
  const played = HARNESS_MUTANTS === 'all' ? mutants : mutants.slice(0, 2)
  test.for(played)('$name', { timeout: 300_000 }, async ({ finds, says, ...mutant }) => {
    const { findings } = await play({ ...SHORT, seed, ...mutant })
    const found = findings.filter(({ kind }) => kind === finds).map(({ what }) => what)
    expect(found).toContainEqual(expect.stringMatching(says))
  })
})
