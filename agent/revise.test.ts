import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { canonicalJson, sha256 } from '#shared/digest.ts'
import type { ReviewContent } from '#shared/job/bundle.ts'
import { ensureCodex, probeSandbox } from '../deploy/local/codex.ts'
import { startScriptedModel } from '../deploy/local/model/server.ts'
import type { ScriptedModel } from '../deploy/local/model/server.ts'
import { plainGit, putFile } from './testing/repository.ts'
import { startRunner } from './testing/runner.ts'
import { demo, demoRepository, finished, gatewaysFor, logOf, success } from './testing/scenario.ts'

let model: ScriptedModel
let codex: string
let sandbox: 'workspace-write' | 'none'

beforeAll(async () => {
  model = await startScriptedModel({ port: 0 })
  codex = (await ensureCodex((line) => process.stderr.write(`${line}\n`))).binary
  sandbox = (await probeSandbox(codex)) ? 'workspace-write' : 'none'
}, 300_000)

afterAll(() => model.close())

const review: ReviewContent = {
  title: 'Fix: Invoice total is two cents too low',
  body: '',
  previous: { title: 'Fix it', summary: 'Rounds.', tests: 'All pass.' },
  reviews: [{ author: 'maria', state: 'changes_requested', createdAt: '2026-01-01T10:00:00Z', body: 'Nearly.' }],
  comments: [
    {
      author: 'maria',
      path: 'src/money.js',
      line: 4,
      hunk: '@@ -1,4 +1,4 @@\n-  return Math.trunc(price * 100)\n+  return Math.round(price * 100)',
      createdAt: '2026-01-01T10:00:00Z',
      body: 'A price with more than two decimals is a typing mistake: refuse it.',
    },
  ],
  discussion: [],
}

/** A repository whose second commit is the pull request's head, and gateways that ask for it to be revised. */
async function reviseFor(session: Buffer | null) {
  const repository = demoRepository()
  const source = readFileSync(join(repository.directory, 'src/money.js'), 'utf8')
  putFile(repository.directory, 'src/money.js', source.replace('Math.trunc', 'Math.round'))
  plainGit(repository.directory, 'commit', '-q', '-a', '-m', 'Fix it')
  const head = plainGit(repository.directory, 'rev-parse', 'HEAD')
  const text = canonicalJson(review)
  const gateways = await gatewaysFor(repository, {
    modelUrl: model.url,
    manifest: {
      revise: {
        change: '6e6ed33a-0d4a-4c41-b58f-bb4a36d1a3a8',
        pull: 2,
        asked: { by: 'review', on: 2 },
        head,
        rule: 'label',
        review: sha256(text),
        session: session && sha256(session),
      },
    },
    instructions: 'Fix what the issue in ../task/issue.md describes. Do what ../task/review.md asks for.\n',
  })
  gateways.blobs.set(sha256(text), Buffer.from(text))
  if (session !== null) gateways.blobs.set(sha256(session), session)
  return { gateways, head, base: repository.commit }
}

/** The session of a first run. */
async function firstSession() {
  const gateways = await gatewaysFor(demoRepository(), { modelUrl: model.url })
  await finished(startRunner(gateways, codex, sandbox))
  const { session, usage } = success(gateways)
  return { session: gateways.blobs.get(session ?? '') as Buffer, usage }
}

describe('a run that revises a change, with the real CLI', () => {
  test('starts at the head, goes on with the session, does what the review asks for and hands in what is new', async () => {
    const first = await firstSession()
    const { gateways, head } = await reviseFor(first.session)
    await finished(startRunner(gateways, codex, sandbox))

    const result = success(gateways)
    expect(result.base).toBe(head)
    expect(result.changes.map(({ path }) => path)).toEqual(['src/money.js', 'test/money.test.js'])
    expect(result.message).toMatchObject({
      title: 'Refuse prices with more than two decimals',
      tests: '`node --test`: all tests pass.',
    })
    // The conversation of before comes first, and the review only through the file.
    expect(gateways.asked[0]).toContain('Invoice total is two cents too low')
    expect(gateways.asked[0]).not.toContain('typing mistake')
    expect(gateways.asked[1]).toContain('typing mistake')
    expect(logOf(gateways)).not.toContain('a new one begins')
    // One session, longer than before; its usage is this run's own.
    const session = gateways.blobs.get(result.session ?? '')?.toString() ?? ''
    expect(session.startsWith(first.session.toString().slice(0, 200))).toBe(true)
    const thread = (text: string) => (JSON.parse(text.split('\n')[0] ?? '') as { payload: { id: string } }).payload.id
    expect(thread(session)).toBe(thread(first.session.toString()))
    const asked = gateways.asked.reduce((sum, body) => sum + Math.ceil(body.length / 4), 0)
    expect(Math.abs(result.usage.inputTokens - asked)).toBeLessThan(asked / 5)
  })

  test.for([
    ['none was left', null],
    ['what was left is no session', Buffer.from('{"type":"session_meta","payload":{"id":"--last"}}\n')],
    [
      'the CLI cannot read it',
      Buffer.from('{"type":"session_meta","payload":{"id":"6e6ed33a-0d4a-4c41-b58f-bb4a36d1a3a8"}}\nnothing\n'),
    ],
  ] as const)('begins a new session where %s, and says so in its log', async ([, session]) => {
    const { gateways, head } = await reviseFor(session)
    await finished(startRunner(gateways, codex, sandbox))
    const result = success(gateways)
    expect(result.base).toBe(head)
    expect(result.changes.map(({ path }) => path)).toEqual(['src/money.js', 'test/money.test.js'])
    expect(logOf(gateways)).toContain('a new one begins')
    expect(gateways.asked[0]).not.toContain('Invoice total is two cents too low')
  })

  test('a session that claims no sandbox does not take it away', async () => {
    const { session } = await firstSession()
    const loose = session
      .toString()
      .split('\n')
      .map((line) => line.replace(/"sandbox_policy":\{[^}]*\}/, '"sandbox_policy":{"type":"danger-full-access"}'))
      .join('\n')
    const { gateways } = await reviseFor(Buffer.from(loose))
    await finished(startRunner(gateways, codex, sandbox))
    const left = gateways.blobs.get(success(gateways).session ?? '')?.toString() ?? ''
    const policies = [...left.matchAll(/"sandbox_policy":\{"type":"([a-z-]+)"/g)].map(([, type]) => type)
    expect(policies.at(-1)).toBe(sandbox === 'none' ? 'danger-full-access' : 'workspace-write')
  })
})

test('the demo still has the line that the review speaks of', () => {
  expect(readFileSync(join(demo, 'repository/src/money.js'), 'utf8').split('\n')[3]).toContain(
    'Math.trunc(price * 100)',
  )
})
