import { createHmac, randomUUID } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { request as httpRequest } from 'node:http'
import { describe, expect } from 'vitest'
import type { Db } from '#shared/db/connect.ts'
import { mintToken } from '#shared/job/token.ts'
import { reasonOf as reasonText } from '#shared/workflow/reasons.ts'
import { test } from '../../support/database.ts'
import { expectNothingLost } from '../../support/invariants.ts'
import { eventually } from '../../support/wait.ts'
import { startWorld, TOKEN_KEY, type World } from '../../support/world.ts'
import { agentAnswers } from './agent-answers.ts'
import { badDeliveries, mutatedDeliveries, type BadDelivery } from './deliveries.ts'
import { badAgentRequests, badEventRequests, type BadRequest } from './doors.ts'
import { hostileTexts, lookAlikes } from './texts.ts'

/** Most memory that all functions together, in one process, may ever have held: four times what they need at rest. */
const MOST_MEMORY_KB = 1024 * 1024

/** A title, five in the text, the others as comments. */
const TEXTS_PER_ISSUE = 12

interface Answer {
  readonly status: number
  readonly text: string
}

/** Every header in our own hands; an answer that comes before the request was read is an answer, too. */
function send(
  url: string,
  {
    method = 'POST',
    headers,
    body,
  }: {
    method?: string
    headers: Readonly<Record<string, string | readonly string[]>>
    body?: string | Uint8Array | undefined
  },
): Promise<Answer> {
  return new Promise((resolve) => {
    let status = 0
    let text = ''
    const { hostname, port } = new URL(url)
    // Not through URL, which would tidy up the path.
    const path = url.slice(url.indexOf('/', url.indexOf('//') + 2))
    const bytes = Buffer.from(body ?? '')
    const lengths = method === 'GET' ? {} : { 'content-length': String(bytes.length) }
    const sent = httpRequest({ hostname, port, path, method, headers: { ...lengths, ...headers }, agent: false })
    sent.on('response', (response) => {
      status = response.statusCode ?? 0
      response.setEncoding('utf8').on('data', (part: string) => (text += part))
      response.on('close', () => resolve({ status, text }))
      response.on('end', () => sent.destroy())
      response.on('error', () => resolve({ status, text }))
    })
    sent.on('error', () => status === 0 && resolve({ status: 0, text: '' }))
    // A length that is only claimed: the answer comes before the body.
    if ('content-length' in headers) sent.flushHeaders()
    else sent.end(bytes)
  })
}

/** Delivers as told, signed unless the case says otherwise. */
function deliver(
  world: World,
  { body, event = 'issues', signature, headers }: Omit<BadDelivery, 'name' | 'status'>,
): Promise<Answer> {
  const hmac = createHmac('sha256', world.hookSecret).update(body).digest('hex')
  const given = signature === undefined ? `sha256=${hmac}` : signature
  return send(world.hookUrl, {
    headers: {
      'content-type': 'application/json',
      'x-github-event': event,
      'x-github-delivery': randomUUID(),
      ...(given === null ? {} : { 'x-hub-signature-256': given }),
      ...headers,
    },
    body,
  })
}

const status = ({ status: code }: Answer) => code
const reasonOf = ({ text }: Answer): unknown => {
  const { code, reason } = JSON.parse(text) as { code?: string; reason?: string }
  return code ?? reason
}

/** The process is the one that was started, it said nothing at level error, and it never held more than it may. */
function expectUnmoved(world: World, pid: number): void {
  expect(world.functions().pid).toBe(pid)
  expect(world.functions().lines.filter((line) => /"level":[56]0/.test(line))).toEqual([])
  const peak = /VmHWM:\s+(\d+) kB/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1]
  expect(Number(peak), 'peak of the resident memory, kB').toBeLessThan(MOST_MEMORY_KB)
}

/** After all that, an ordinary label still becomes a pull request. */
async function expectStillWorks(world: World): Promise<void> {
  const before = (await world.forgeLedger('pull.created')).length
  await world.label(await world.issue())
  await world.drain()
  expect(await world.forgeLedger('pull.created')).toHaveLength(before + 1)
}

/** The body of a real label event of this world, by somebody who may not ask: it becomes a refused run and no more. */
async function refusedLabel(world: World): Promise<Record<string, unknown>> {
  const number = await world.issue('An issue', 'With a text.')
  await world.label(number, 'run:dev', 'theo-token')
  await world.drain()
  const issue = await world.person<Record<string, unknown>>('GET', `/repos/maria/shop/issues/${number}`)
  const { id } = await world.person<{ id: number }>('GET', '/repos/maria/shop')
  return {
    action: 'labeled',
    issue: { ...issue, updated_at: new Date().toISOString() },
    label: { id: 9, name: 'run:dev', color: 'ededed' },
    repository: { id, full_name: 'maria/shop', url: `${world.forgeUrl}/repos/maria/shop` },
    sender: { id: 1002, login: 'theo', type: 'User', url: `${world.forgeUrl}/users/theo` },
  }
}

/** The runs, each with why it is not one of those that succeeded. */
async function states(db: Db): Promise<string[]> {
  const rows = await db.selectFrom('runs').select(['state', 'reason']).execute()
  return rows.map(({ state, reason }) => (reason === null ? state : `${state}: ${reason}`)).toSorted()
}

describe('bad input', () => {
  test('is at least 300 requests and values', () => {
    const sample = { issue: { title: 't' }, label: {}, repository: { id: 1 }, sender: {} }
    const tokens = { run: 'x', model: 'y' }
    const count = [
      badDeliveries(sample),
      mutatedDeliveries(sample),
      badEventRequests,
      badAgentRequests(tokens),
      hostileTexts,
      lookAlikes,
    ].map((list) => list.length)
    expect(count.reduce((sum, length) => sum + length)).toBeGreaterThanOrEqual(300)
  })

  test('at the webhook gets the right 4xx or a visible quarantine, and the next delivery is as good as ever', async ({
    db,
    databaseUrl,
  }) => {
    const world = await startWorld({ db, databaseUrl })
    const { pid } = world.functions()
    const good = await refusedLabel(world)
    const wrong: unknown[] = []
    for (const { name, ...bad } of badDeliveries(good)) {
      const answer = await deliver(world, bad)
      const because = answer.status === 0 ? undefined : reasonOf(answer)
      if (answer.status !== bad.status || because !== bad.because)
        wrong.push({ name, status: answer.status, because, expected: [bad.status, bad.because] })
    }
    expect(wrong).toEqual([])
    for (const hook of ['nosuchhook', 'x', '%00', '..%2f..', 'A'.repeat(65), "' or 1=1"]) {
      const answer = await send(`${new URL(world.hookUrl).origin}/hooks/github/${hook.replaceAll(' ', '%20')}`, {
        headers: { 'content-type': 'application/json', 'x-github-event': 'issues', 'x-github-delivery': 'd' },
        body: '{}',
      })
      expect([hook, answer.status]).toEqual([hook, 401])
    }
    await world.drain()
    expect(await states(db)).toEqual(['refused: actor_not_allowed'])
    expectUnmoved(world, pid)
    await expectNothingLost(db)
    await expectStillWorks(world)
  }, 120_000)

  test('in any field of an authentic delivery is used, set aside, or refused by the router: never a run, never silence', async ({
    db,
    databaseUrl,
  }) => {
    const world = await startWorld({ db, databaseUrl })
    const { pid } = world.functions()
    const good = await refusedLabel(world)
    const answers = new Map<string, Answer>()
    for (const { name, body } of mutatedDeliveries(good)) answers.set(name, await deliver(world, { body }))
    expect([...answers].filter(([, answer]) => status(answer) !== 202)).toEqual([])
    await world.drain()
    const open = await db.selectFrom('deliveries').selectAll().where('state', '=', 'pending').execute()
    expect(open).toEqual([])
    const silent = await db.selectFrom('deliveries').select('consumer').where('outcome', 'is', null).execute()
    expect(silent).toEqual([])
    // What names another issue, label or person finds no label event of its own; none of them is the one that was set.
    expect(await states(db)).toEqual(['refused: actor_not_allowed'])
    expect(world.jobLedger()).toEqual([])
    expectUnmoved(world, pid)
    await expectNothingLost(db)
    await expectStillWorks(world)
  }, 180_000)

  test('posted to the functions behind it changes nothing, whatever it claims to be', async ({ db, databaseUrl }) => {
    const world = await startWorld({ db, databaseUrl, change: { hangs: 9 } })
    const { pid } = world.functions()
    await world.label(await world.issue())
    const attempt = await eventually(
      async () => db.selectFrom('attempts').selectAll().where('state', '=', 'created').executeTakeFirstOrThrow(),
      { what: 'an attempt at work', timeoutMs: 20_000 },
    )
    const ref = { run: attempt.run_id, attempt: attempt.attempt, fence: attempt.fence }
    const tokens = { run: mintToken(TOKEN_KEY, 'run', ref), model: mintToken(TOKEN_KEY, 'model', ref) }
    const before = await db.selectFrom('runs').selectAll().execute()

    const wrong: unknown[] = []
    const requests: readonly BadRequest[] = [...badEventRequests, ...badAgentRequests(tokens)]
    for (const { name, to, path, status: right, method, headers = {}, body } of requests) {
      const answer = await send(`${world.url(to)}${path}`, { ...(method && { method }), headers, body })
      if (!right.includes(answer.status)) wrong.push({ name, status: answer.status, text: answer.text.slice(0, 200) })
      if (answer.status >= 400 && Buffer.byteLength(answer.text) > 512) wrong.push({ name, bytes: answer.text.length })
      if (answer.text.includes(tokens.run)) wrong.push({ name, leaks: true })
    }
    expect(wrong).toEqual([])
    expect(await db.selectFrom('runs').selectAll().execute()).toEqual(before)
    expectUnmoved(world, pid)
  }, 120_000)

  test('in labels that look like ours starts nothing', async ({ db, databaseUrl }) => {
    // Without the right one: to a forge a label in other letters is the same label.
    const repo = { owner: 'maria', name: 'shop', files: { 'README.md': '# shop\n' }, labels: ['bug'] }
    const world = await startWorld({ db, databaseUrl, seed: { repos: [repo] } })
    const { pid } = world.functions()
    const number = await world.issue()
    for (const label of lookAlikes) await world.label(number, label)
    await world.drain()
    const seen = await db.selectFrom('inbox').select('event_name').where('event_name', '=', 'issues').execute()
    expect(seen.length).toBeGreaterThan(20)
    expect(await states(db)).toEqual([])
    expect(world.jobLedger()).toEqual([])
    expectUnmoved(world, pid)
    await expectNothingLost(db)
  }, 60_000)

  test('in title, text and comment is what the agent gets as data, and what comes back is published as it is', async ({
    db,
    databaseUrl,
  }) => {
    const world = await startWorld({ db, databaseUrl, maxActive: 3 })
    const { pid } = world.functions()
    const issues: number[] = []
    const bodies: string[] = []
    // Ten or so: what we write there has its own limits, eighty comments and commits a minute.
    for (let index = 0; index < hostileTexts.length; index += TEXTS_PER_ISSUE) {
      const [title = '', ...texts] = hostileTexts.slice(index, index + TEXTS_PER_ISSUE).map(({ text }) => text)
      // A forge wants a title in one line, not too long, and not empty.
      const body = texts.slice(0, 5).join('\n\n')
      const number = await world.issue(`${title.replaceAll(/\s+/g, ' ').slice(0, 200)}.`, body)
      for (const text of texts.slice(5))
        await world.person('POST', `/repos/maria/shop/issues/${number}/comments`, { body: `${text}.` })
      issues.push(number)
      bodies.push(body)
    }
    for (const number of issues) await world.label(number)
    await world.drain()

    expect(await states(db)).toEqual(issues.map(() => 'succeeded'))
    expect(await world.forgeLedger('pull.created')).toHaveLength(issues.length)
    for (const number of issues) {
      const comments = await world.person<{ body: string; user: { type: string } }[]>(
        'GET',
        `/repos/maria/shop/issues/${number}/comments`,
      )
      const ours = comments.filter(({ user }) => user.type === 'Bot')
      expect(ours).toHaveLength(1)
    }
    const contents = await db.selectFrom('bundles').select('manifest').execute()
    const digests = contents.map(({ manifest }) => manifest.content)
    const blobs = await db.selectFrom('blobs').select('bytes').where('digest', 'in', digests).execute()
    const read = blobs.map(
      ({ bytes }) => JSON.parse(bytes.toString()) as { body: string; comments: { body: string }[] },
    )
    expect(new Set(read.map(({ body }) => body))).toEqual(new Set(bodies))
    // Our instructions are the same bytes for all of them.
    expect(new Set(contents.map(({ manifest }) => manifest.instructions)).size).toBe(1)
    expectUnmoved(world, pid)
    await expectNothingLost(db)
  }, 180_000)

  test('from an agent is refused with the reason in the comment, and what is only odd is published without harm', async ({
    db,
    databaseUrl,
  }) => {
    const world = await startWorld({ db, databaseUrl, maxActive: 3, change: { obeys: true } })
    const { pid } = world.functions()
    const ends = new Map<number, string | null>()
    for (const { result, reason } of agentAnswers) {
      const number = await world.issue('What the agent hands in', JSON.stringify(result))
      ends.set(number, reason)
      await world.label(number)
    }
    await world.drain()

    const runs = await db.selectFrom('runs').select(['subject_number', 'reason', 'state']).execute()
    expect(new Map(runs.map((run) => [run.subject_number, run.reason]))).toEqual(ends)
    for (const [number, reason] of ends) {
      const comments = await world.person<{ body: string }[]>('GET', `/repos/maria/shop/issues/${number}/comments`)
      const says = reason === null ? 'Pull request: #' : reasonText(reason).says
      expect(comments.map(({ body }) => body.includes(says))).toEqual([true])
    }
    const published = [...ends.values()].filter((reason) => reason === null).length
    const pulls = await world.person<{ body: string }[]>('GET', '/repos/maria/shop/pulls')
    expect(pulls).toHaveLength(published)
    // Nobody is mentioned, no other issue closed, and nothing looks like what we find our own comments by.
    for (const { body } of pulls) expect(body).not.toMatch(/@theo|closes #1,|<!-- codex-k8s:run:/)
    expectUnmoved(world, pid)
    await expectNothingLost(db)
  }, 120_000)
})
