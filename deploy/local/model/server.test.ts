import { execFileSync, spawnSync } from 'node:child_process'
import { cpSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, onTestFinished, test } from 'vitest'
import { temporaryFolder } from '../../../agent/testing/repository.ts'
import { startScriptedModel } from './server.ts'

const demo = join(import.meta.dirname, '../demo/repository')

async function start(): Promise<string> {
  const model = await startScriptedModel({ port: 0 })
  onTestFinished(() => model.close())
  return model.url
}

const authorized = { authorization: 'Bearer any', 'content-type': 'application/json' }

const ask = (url: string, body: unknown, headers: Record<string, string> = authorized): Promise<Response> =>
  fetch(`${url}/v1/responses`, { method: 'POST', headers, body: JSON.stringify(body) })

test('a request without a bearer token is refused, and the models are listed with one', async () => {
  const url = await start()
  expect((await ask(url, {}, {})).status).toBe(401)
  const models = await fetch(`${url}/v1/models`, { headers: authorized })
  expect(await models.json()).toMatchObject({ object: 'list', data: [{ id: 'scripted' }] })
})

test('what is no request is answered 400, and another path 404', async () => {
  const url = await start()
  expect((await ask(url, { input: 1 })).status).toBe(400)
  expect((await fetch(`${url}/v1/responses`, { method: 'POST', headers: authorized, body: '{' })).status).toBe(400)
  expect((await fetch(`${url}/v1/files`, { headers: authorized })).status).toBe(404)
})

test('the same request gets the same bytes, as events that end with the usage', async () => {
  const url = await start()
  const request = { model: 'm', stream: true, input: [{ type: 'message', role: 'user', content: [] }] }
  const [first, second] = await Promise.all([ask(url, request), ask(url, request)])
  const text = await first.text()
  expect(await second.text()).toBe(text)
  expect(text.match(/^event: .+$/gm)).toEqual([
    'event: response.created',
    'event: response.output_item.done',
    'event: response.completed',
  ])
  expect(text).toMatch(/"total_tokens":\d+/)
})

test('the demo fails before the change and passes after', () => {
  const folder = temporaryFolder()
  cpSync(demo, folder, { recursive: true })
  const tests = (): number | null =>
    spawnSync(process.execPath, ['--test'], { cwd: folder, env: { PATH: process.env['PATH'] ?? '' } }).status
  expect(tests()).toBe(1)
  execFileSync('sed', ['-i', 's/Math.trunc(/Math.round(/', join(folder, 'src/money.js')])
  expect(tests()).toBe(0)
  expect(readFileSync(join(folder, 'src/money.js'), 'utf8')).toContain('Math.round(price * 100)')
})
