import { describe, expect, test } from 'vitest'
import { createLog, type Log } from '#shared/log.ts'

const canary = 'canary-4f1d9a7be2c8'
const token = `ghs_${'aB3dE5gH7jK9mN1pQ2rS4tU6vW8xY0zA1bC3'}`

/** What one call of the log writes. */
function lineOf(write: (log: Log) => void): string {
  const lines: string[] = []
  write(createLog('test', 'debug', { write: (line) => void lines.push(line) }))
  expect(lines).toHaveLength(1)
  return lines[0] ?? ''
}

const hung = () => ({
  request: { headers: { authorization: `bearer ${canary}` } },
  response: { headers: { 'set-cookie': canary }, data: canary },
  parameters: [canary],
  query: canary,
  detail: `Key (body)=(${canary}) already exists.`,
  where: canary,
  input: `postgres://user:${canary}@host/`,
  options: { deeper: { still: canary } },
})

describe('X12 of an error only its own words are kept', () => {
  test.for<[string, () => unknown]>([
    ['what libraries hang on it', () => Object.assign(new Error('failed'), hung())],
    ['what hangs on its cause', () => new Error('failed', { cause: Object.assign(new Error('inner'), hung()) })],
    ['its parts', () => new AggregateError([Object.assign(new Error('part'), hung())], 'failed')],
    ['an object that is no error', () => hung()],
    ['a getter', () => Object.defineProperty(new Error('failed'), 'secret', { enumerable: true, get: () => canary })],
    ['a code that is a sentence', () => Object.assign(new Error('failed'), { code: `because of ${canary}` })],
  ])('and not %s', ([, make]) => {
    expect(lineOf((log) => log.error({ err: make() }, 'failed'))).not.toContain(canary)
  })

  test('and not a token in it, or in a cause', () => {
    for (const error of [new Error(`bad token ${token}`), new Error('failed', { cause: new Error(token) }), token])
      expect(lineOf((log) => log.error({ err: error }, 'failed'))).not.toContain(token)
  })

  test('and these are kept: type, message, code, constraint, where it was thrown, and the causes', () => {
    const inner = Object.assign(new Error('duplicate key'), { code: '23505', constraint: 'outbox_source_event_id_key' })
    const line = lineOf((log) => log.error({ err: new TypeError('no good', { cause: inner }) }, 'failed'))
    expect(JSON.parse(line)).toMatchObject({
      level: 50,
      msg: 'failed',
      err: {
        type: 'TypeError',
        message: 'no good',
        stack: expect.stringContaining('log.test.ts'),
        cause: { message: 'duplicate key', code: '23505', constraint: 'outbox_source_event_id_key' },
      },
    })
  })
})

test('X13 what somebody else wrote stays within its line', () => {
  const forged = 'a\n{"level":60,"msg":"forged"}\r\u2028\u001b[31m\0'
  const line = lineOf((log) => log.warn({ err: new Error(forged), event: forged }, 'refused'))
  for (const control of ['\n', '\r', '\0', '\u001b']) expect(line.trimEnd()).not.toContain(control)
  expect(JSON.parse(line)).toMatchObject({ level: 40, event: forged, err: { message: forged } })
})
