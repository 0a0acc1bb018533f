import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { spawnNode } from './processes.ts'
import { eventually } from './wait.ts'

let folder: string
let script: string

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'processes-test-'))
  script = join(folder, 'child.mjs')
  writeFileSync(
    script,
    `process.on('SIGTERM', () => { console.log('bye'); process.exit(3) })
    console.log('ready on port ' + process.env.PORT)
    console.error(JSON.stringify(Object.keys(process.env)))
    if (process.argv[2] === 'stay') setInterval(() => {}, 1000)`,
  )
})

afterAll(() => rmSync(folder, { recursive: true, force: true }))

test('a line is found whether it came before or after it was asked for', async () => {
  const child = spawnNode(script, { env: { PORT: '81' }, args: ['stay'] })
  expect((await child.waitForLine(/port (\d+)/))[1]).toBe('81')
  expect((await child.waitForLine(/port (\d+)/))[1]).toBe('81')
  expect(await child.kill('SIGTERM')).toEqual({ code: 3, signal: null })
  // Two streams: only within one of them is the order certain.
  expect(child.lines.toSorted()).toEqual(['["PATH","PORT"]', 'bye', 'ready on port 81'])
})

test('a line that never comes is told with what came', async () => {
  const child = spawnNode(script, { env: { PORT: '82' } })
  await expect(child.waitForLine(/never/)).rejects.toThrow(
    /the process ended without a line \/never\/.*\nready on port 82/,
  )
})

let left: number
test('a child that a test leaves behind', async () => {
  const child = spawnNode(script, { args: ['stay'] })
  await child.waitForLine(/ready/)
  left = child.pid
  expect(process.kill(left, 0)).toBe(true)
})

test('is gone when the next one starts', () => {
  expect(() => process.kill(left, 0)).toThrow('ESRCH')
})

test('waiting gives the value, and otherwise says for what it waited and what it saw', async () => {
  let looks = 0
  expect(await eventually(() => ++looks > 2 && looks, { what: 'three looks', everyMs: 1 })).toBe(3)
  await expect(
    eventually(() => Promise.reject(new Error('connection refused')), { what: 'the gateway', timeoutMs: 10 }),
  ).rejects.toThrow('waited 10 ms for the gateway; last seen: connection refused')
})
