import { fileURLToPath } from 'node:url'
import { describe, expect, test } from 'vitest'
import { spawnNode } from '../test/support/processes.ts'

const main = fileURLToPath(new URL('../functions/approval-gate/main.ts', import.meta.url))
const start = async (env: Record<string, string>) => {
  const child = spawnNode(main, { env })
  return { exit: await child.exited, lines: child.lines }
}

describe('the environment of a function', () => {
  test('names every variable that is missing or bad, never its value, and ends the process', async () => {
    const { exit, lines } = await start({
      DATABASE_URL: 'mysql://canary',
      BROKER_URL: 'canary',
      PORT: 'canary',
      LOG_LEVEL: 'canary',
    })
    expect(exit.code).toBe(78)
    expect(lines.map((line) => line.split(':')[0] ?? '').toSorted()).toEqual([
      'BROKER_URL',
      'DATABASE_URL',
      'FORGE_AUTH_DIR',
      'LOG_LEVEL',
      'PORT',
    ])
    expect(lines.join('\n')).not.toContain('canary')
  })

  test('says of what is not there that it is not set', async () => {
    const { exit, lines } = await start({})
    expect(exit.code).toBe(78)
    expect(lines.toSorted()).toEqual([
      'BROKER_URL: is not set',
      'DATABASE_URL: is not set',
      'FORGE_AUTH_DIR: is not set',
    ])
  })
})
