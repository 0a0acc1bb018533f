import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { readFile } from 'node:fs/promises'
import { request } from 'node:http'
import type { IncomingMessage } from 'node:http'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { fileURLToPath } from 'node:url'

import { expect, onTestFinished, test } from 'vitest'

import { at, forgeFor, refused } from './testing.ts'

const comment = { ...at, issue_number: 1, body: 'Hello' }
const COMMENTS = '/repos/{owner}/{repo}/issues/{issue_number}/comments'

async function withIssue() {
  const forge = await forgeFor()
  const alice = forge.as('alice')
  await alice.request('POST /repos/{owner}/{repo}/issues', { ...at, title: 'A bug' })
  const comments = async () => (await alice.request(`GET ${COMMENTS}`, { ...at, issue_number: 1 })).data.length
  const fault = (then: unknown, times = 1) =>
    // oxlint-disable-next-line unicorn/no-thenable -- the forge's word for a fault's effect
    forge.control('POST', '/faults', { method: 'POST', path: '/comments$', times, then })
  return { forge, alice, comments, fault }
}

test('a dropped request leaves no trace but the fault', async () => {
  const { forge, alice, comments, fault } = await withIssue()
  await fault('drop-before')
  await expect(alice.request(`POST ${COMMENTS}`, comment)).rejects.toMatchObject({ status: 500 })
  expect(await comments()).toBe(0)
  expect(await forge.ledger('fault')).toHaveLength(1)
})

test('an effect whose answer was dropped happened and is in the ledger', async () => {
  const { forge, alice, comments, fault } = await withIssue()
  await fault('apply-then-drop')
  await expect(alice.request(`POST ${COMMENTS}`, comment)).rejects.toMatchObject({ status: 500 })
  expect(await comments()).toBe(1)
  expect(await forge.ledger('comment.created')).toMatchObject([{ number: 1, firstLine: 'Hello', actor: 'alice' }])
})

test('an injected answer comes as often as asked, or until faults are cleared', async () => {
  const { forge, alice, fault } = await withIssue()
  await fault({ status: 503, headers: { 'retry-after': '1' }, body: { message: 'Unicorn' } }, 2)
  expect(await refused(alice.request(`POST ${COMMENTS}`, comment))).toMatchObject({ status: 503, message: 'Unicorn' })
  await forge.control('DELETE', '/faults')
  expect((await alice.request(`POST ${COMMENTS}`, comment)).status).toBe(201)
})

test.for([
  ['{', 400, 'Problems parsing JSON'],
  [JSON.stringify({ title: 'x', body: 'y'.repeat(70_000) }), 422, 'Validation Failed'],
  [JSON.stringify([]), 422, 'Validation Failed'],
] as const)('odd input is refused in the shape of GitHub', async ([body, status, message]) => {
  const forge = await forgeFor()
  const headers = { authorization: 'Bearer token-alice' }
  const response = await fetch(`${forge.url}/repos/alice/calc/issues`, { method: 'POST', headers, body })
  expect([response.status, await response.json()]).toMatchObject([
    status,
    { message, documentation_url: expect.any(String) },
  ])
})

test('a body beyond the limit is refused before it is read', async () => {
  const forge = await forgeFor()
  const headers = { authorization: 'Bearer token-alice', 'content-length': String(51 * 1024 * 1024) }
  const outgoing = request(`${forge.url}/repos/alice/calc/issues`, { method: 'POST', headers })
  outgoing.flushHeaders()
  const [response] = (await once(outgoing, 'response')) as [IncomingMessage]
  expect(response.statusCode).toBe(413)
  outgoing.destroy()
})

test('what does not exist is a 404 in the shape of GitHub', async () => {
  const forge = await forgeFor()
  const response = await fetch(`${forge.url}/repos/alice/none`)
  expect([response.status, await response.json()]).toMatchObject([
    404,
    { message: 'Not Found', documentation_url: expect.any(String) },
  ])
})

function start(env: NodeJS.ProcessEnv) {
  const child = spawn(process.execPath, [fileURLToPath(new URL('main.ts', import.meta.url))], {
    env: { ...process.env, ...env },
  })
  onTestFinished(() => void child.kill('SIGKILL'))
  const errors = text(child.stderr)
  const ready = once(child.stdout, 'data').then(([line]) => JSON.parse(String(line)) as { url: string })
  const exit = once(child, 'exit').then(([code]) => code as number)
  return { child, ready, errors, exit }
}

test('as a process it says when it listens, ends on SIGTERM, keeps its ledger and never repeats an id', async () => {
  const { data } = await forgeFor()
  const env = {
    FORGE_DATA: join(data, 'process'),
    FORGE_SEED: JSON.stringify({ users: [{ login: 'alice', token: 't' }], repos: [{ owner: 'alice', name: 'calc' }] }),
  }
  const open = async (url: string) => {
    const response = await fetch(`${url}/repos/alice/calc/issues`, {
      method: 'POST',
      headers: { authorization: 'token t' },
      body: '{"title":"x"}',
    })
    return ((await response.json()) as { id: number }).id
  }
  const first = start({ ...env, FORGE_ID_OFFSET: '5000' })
  expect(await open((await first.ready).url)).toBe(5000)
  first.child.kill('SIGTERM')
  expect(await first.exit).toBe(0)
  const second = start(env)
  const { url } = await second.ready
  expect(await open(url)).toBeGreaterThan(50_000_000_000)
  const third = start({ ...env, PORT: new URL(url).port })
  expect(await third.exit).toBe(1)
  expect(await third.errors).toBe(`forge: port ${new URL(url).port} is already in use\n`)
  const ledger = (await readFile(join(env.FORGE_DATA, 'ledger.jsonl'), 'utf8'))
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line) as { kind: string; seq: number })
  expect(ledger.filter(({ kind }) => kind === 'issue.created')).toHaveLength(2)
  expect(ledger.map(({ seq }) => seq)).toEqual(ledger.map((_, index) => index + 1))
})
