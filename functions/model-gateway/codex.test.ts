import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync } from 'node:fs'
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { ServerResponse } from 'node:http'
import { expect, onTestFinished } from 'vitest'
import { codexConfig, modelCatalog } from '../../agent/config.ts'
import { ensureCodex } from '../../deploy/local/codex.ts'
import { admit } from './decide.ts'
import { test, type Gateway } from './testing/gateway.ts'
import { answerWith, startProvider, type Received } from './testing/provider.ts'
import { manifest, startRun } from './testing/run.ts'

const copy = '/tmp/codexcli/node_modules/@openai/codex-linux-x64/vendor/x86_64-unknown-linux-musl/bin/codex'
const call = {
  type: 'function_call',
  id: 'fc_1',
  call_id: 'c1',
  name: 'exec_command',
  arguments: JSON.stringify({ cmd: 'echo hello' }),
}
const patch = {
  type: 'custom_tool_call',
  id: 'ct_1',
  call_id: 'c2',
  name: 'apply_patch',
  input: '*** Begin Patch\n*** Add File: a.txt\n+hello\n*** End Patch',
}
const reasoning = { type: 'reasoning', id: 'rs_1', summary: [], encrypted_content: 'abc' }
const message = {
  type: 'message',
  role: 'assistant',
  id: 'msg_1',
  content: [{ type: 'output_text', text: '{"title":"Done"}' }],
}
const schema = {
  type: 'object',
  properties: { title: { type: 'string' } },
  required: ['title'],
  additionalProperties: false,
}

/** A command, a patch, an end; which step it is, the outputs in the request say. */
function script(response: ServerResponse, { body }: Received): void {
  const outputs = (body['input'] as { type: string }[]).filter(({ type }) => type.endsWith('_output')).length
  answerWith([[reasoning, call], [patch], [message]][outputs] ?? [])(response)
}

/** Runs the CLI as the agent does, and returns its exit code and what it printed. */
async function runCodex(
  { url }: Pick<Gateway, 'url'>,
  token: string,
): Promise<{ code: number | null; output: string }> {
  const { binary } = existsSync(copy) ? { binary: copy } : await ensureCodex(() => {})
  const folder = await mkdtemp(join(tmpdir(), 'model-gateway-'))
  onTestFinished(() => rm(folder, { recursive: true, force: true }))
  const [home, repository, catalogFile] = [
    join(folder, 'codex'),
    join(folder, 'repository'),
    join(folder, 'models.json'),
  ]
  for (const path of [home, repository]) await mkdir(path)
  await writeFile(
    join(home, 'config.toml'),
    codexConfig({ model: manifest.model, effort: manifest.effort, modelGatewayUrl: url, catalogFile, network: false }),
  )
  await writeFile(catalogFile, modelCatalog(manifest.model))
  await writeFile(join(folder, 'schema.json'), JSON.stringify(schema))
  // No sandbox of its own: the commands are the test's.
  const flags = [
    '--json',
    '--strict-config',
    '--ignore-rules',
    '--skip-git-repo-check',
    '--sandbox',
    'danger-full-access',
    '-C',
    repository,
  ]
  const child = spawn(binary, ['exec', ...flags, '--output-schema', join(folder, 'schema.json'), 'Say hello'], {
    env: { PATH: process.env['PATH'], HOME: home, CODEX_HOME: home, MODEL_TOKEN: token },
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  onTestFinished(() => void child.kill('SIGKILL'))
  let output = ''
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (chunk: Buffer) => (output += chunk.toString()))
  const [code] = (await once(child, 'close')) as [number | null]
  return { code, output }
}

/** What a request asks for, without what the CLI says about itself. */
function meaning(request: Record<string, unknown>): object {
  return withoutNull(Object.fromEntries(Object.entries(request).filter(([name]) => name !== 'client_metadata')))
}

/** The CLI writes absent members of an item as null. */
function withoutNull(value: object): object {
  return JSON.parse(JSON.stringify(value, (_key, member: unknown) => (member === null ? undefined : member))) as object
}

test('what the real CLI sends is admitted unchanged in meaning', { timeout: 120_000 }, async () => {
  const recorder = await startProvider(script)
  const { code, output } = await runCodex({ url: recorder.url.replace('/v1', '') }, 'token')
  expect({ code, output }).toMatchObject({ code: 0 })
  expect(recorder.received).toHaveLength(3)
  for (const { body } of recorder.received) {
    expect(withoutNull(admit(body, manifest))).toEqual({ request: { ...meaning(body), max_output_tokens: 8_000 } })
  }
})

test('the real CLI works through the gateway to the end', { timeout: 120_000 }, async ({ db, startGateway }) => {
  const provider = await startProvider(script)
  const gateway = await startGateway(provider.url)
  const run = await startRun(db)
  const { code, output } = await runCodex(gateway, run.token)
  expect({ code, output }).toMatchObject({ code: 0 })
  const calls = await db.selectFrom('model_calls').select(['state', 'charged_tokens']).execute()
  expect(calls).toEqual(Array(3).fill({ state: 'settled', charged_tokens: 150 }))
})

test(
  'the real CLI gives up at once when the budget is used up, and says why',
  { timeout: 120_000 },
  async ({ db, startGateway }) => {
    const provider = await startProvider(script)
    const gateway = await startGateway(provider.url)
    const run = await startRun(db, { budget: { tokens: 100 } })
    const { code, output } = await runCodex(gateway, run.token)
    expect(code).toBe(1)
    expect(output).toContain('budget_exhausted')
    expect(gateway.log().match(/budget_exhausted/g)).toHaveLength(1)
  },
)
