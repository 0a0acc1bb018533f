import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { sql } from 'kysely'
import { onTestFinished } from 'vitest'
import { connect } from '#shared/db/connect.ts'
import { sharedPace } from '#shared/db/pace.ts'
import { listen, type Served } from '#shared/edge/serve.ts'
import { noRelay, quiet } from '#shared/edge/testing/post.ts'
import { createGitHub } from '#shared/forge/github/client.ts'
import { RATES, type Rate, type Rates } from '#shared/pace.ts'
import { defaultWorkflow } from '#shared/workflow/default-workflow.ts'
import { rememberHook } from '#shared/project/connect.ts'
import { connectRepository } from '../../deploy/local/connect-repository.ts'
import type { LedgerEntry } from '../../deploy/local/forge/ledger.ts'
import { startForge } from '../../deploy/local/forge/server.ts'
import { freePort } from '../../deploy/local/free-port.ts'
import { create as labelRouter } from '../../functions/label-router/app.ts'
import { ownersDue } from '../../functions/reconciler/due.ts'
import { create as webhookGateway } from '../../functions/webhook-gateway/app.ts'
import { eventually } from './wait.ts'

/** How much faster than on GitHub an hour passes, for both sides of its limits. */
const SPEED = 60

const faster = ({ burst, everyMs }: Rate): Rate => ({ burst, everyMs: everyMs / SPEED })

/** Our pace on the forge's fast clock. */
export const FAST: Rates = { points: faster(RATES.points), minute: faster(RATES.minute), hour: faster(RATES.hour) }

/**
 * A forge that goes on by itself, with the gateway and the router that may be away: no broker, no other function. What the
 * router has to do it does in its sweeps.
 */
export async function startAway(databaseUrl: string, options: { readonly rateLimit?: number } = {}) {
  const folder = mkdtempSync(join(tmpdir(), 'away-'))
  onTestFinished(() => rmSync(folder, { recursive: true, force: true, maxRetries: 3 }))
  const forge = await startForge({
    data: join(folder, 'forge'),
    seed: {
      users: [
        { login: 'maria', id: 1001, token: 'maria-token' },
        { login: 'theo', id: 1002, token: 'theo-token' },
      ],
      repos: [
        {
          owner: 'maria',
          name: 'shop',
          files: { 'README.md': '# shop\n' },
          collaborators: { theo: 'triage' },
          labels: ['run:dev', 'bug'],
        },
      ],
      app: { app_id: 7, slug: 'codex-k8s' },
      rate_limit: options.rateLimit ?? 1_000_000,
      secondary_limits_speed: SPEED,
    },
  })
  onTestFinished(() => forge.close())
  const person = async <T = Record<string, unknown>>(
    method: string,
    path: string,
    body?: unknown,
    login = 'maria',
  ): Promise<T> => {
    const response = await fetch(`${forge.url}${path}`, {
      method,
      headers: { authorization: `Bearer ${login}-token`, 'content-type': 'application/json' },
      body: body === undefined ? null : JSON.stringify(body),
    })
    const text = await response.text()
    if (!response.ok) throw new Error(`${method} ${path}: ${response.status} ${text}`)
    return (text === '' ? {} : JSON.parse(text)) as T
  }
  const control = async (method: string, path: string, body?: unknown): Promise<unknown> => {
    const init = body === undefined ? { method } : { method, body: JSON.stringify(body) }
    const response = await fetch(`${forge.url}/_forge${path}`, init)
    const text = await response.text()
    if (!response.ok) throw new Error(`${method} ${path}: ${response.status} ${text}`)
    return text === '' ? undefined : JSON.parse(text)
  }
  const [app] = (await control('GET', '/apps')) as {
    id: number
    privateKey: string
    bot: { id: number }
    installations: { id: number }[]
  }[]
  if (app === undefined) throw new Error('the forge has no App')

  const db = connect(databaseUrl, { name: 'test' })
  onTestFinished(() => db.destroy())
  const repository = await person<{ id: number; full_name: string }>('GET', '/repos/maria/shop')
  const secretsDir = join(folder, 'secrets')
  const connected = await connectRepository(db, secretsDir, {
    instance: forge.url,
    repositoryId: String(repository.id),
    fullName: repository.full_name,
    installationId: String(app.installations[0]?.id),
    ownActorId: String(app.bot.id),
  })
  // Connected for a day: what is from before that is not taken up.
  await db
    .updateTable('projects')
    .set({ created_at: sql`now() - interval '1 day'` })
    .execute()
  await sql`insert into label_scans (project_id, next_scan_at, scanned_until)
    select id, now() + interval '30 minutes', now() - interval '1 hour' from projects`.execute(db)

  const port = await freePort()
  let served: Served | undefined
  const gateway = {
    url: `http://127.0.0.1:${port}`,
    async start() {
      const clients = { db: connect(databaseUrl, { name: 'webhook-gateway' }), relay: noRelay, log: quiet }
      served = await listen(webhookGateway({ secretsDir }, clients), { port, host: '127.0.0.1' })
    },
    async stop() {
      await served?.close()
      served = undefined
    },
  }
  onTestFinished(() => gateway.stop())
  const hook = await person<{ id: number }>('POST', '/repos/maria/shop/hooks', {
    name: 'web',
    active: true,
    events: ['issues'],
    config: { url: `${gateway.url}${connected.hookPath}`, content_type: 'json', secret: connected.secret },
  })
  await rememberHook(db, connected, String(hook.id))

  const auth = { kind: 'app', appId: String(app.id), privateKey: app.privateKey } as const
  const routerDb = connect(databaseUrl, { name: 'label-router' })
  const pace = sharedPace(routerDb, forge.url, FAST)
  const github = createGitHub({ instance: forge.url, auth, log: quiet, pace })
  const router = labelRouter(
    { workflow: await defaultWorkflow(), models: [], model: undefined },
    { db: routerDb, relay: noRelay, log: quiet, github },
  )
  onTestFinished(() => router.close())

  const ledger = async (kind: string) => (await control('GET', `/ledger?kind=${kind}`)) as LedgerEntry[]
  return {
    db,
    gateway,
    hookId: hook.id,
    connected,
    /** What the next requests that match are answered. */
    fault: (method: string, path: string, effect: unknown, times = 1) =>
      // oxlint-disable-next-line unicorn/no-thenable -- the simulator's word
      control('POST', '/faults', { method, path, times, then: effect }),
    person,
    control,
    ledger,

    async issue(title = 'Say hello') {
      const { number } = await person<{ number: number }>('POST', '/repos/maria/shop/issues', {
        title,
        body: 'Please.',
      })
      return number
    },
    label: (issue: number, login = 'maria') =>
      person('POST', `/repos/maria/shop/issues/${issue}/labels`, { labels: ['run:dev'] }, login),
    unlabel: (issue: number) => person('DELETE', `/repos/maria/shop/issues/${issue}/labels/run%3Adev`),
    /** The forge has nothing under way. */
    quiet: () =>
      eventually(async () => ((await control('GET', '/idle')) as { pending: number }).pending === 0, {
        what: 'the forge to have made its deliveries',
        timeoutMs: 60_000,
      }),
    /** As if an hour had passed since the last look at the forge. Columns of milliseconds round up: now is not yet due. */
    async later() {
      await sql`update hook_checks set next_check_at = now() - interval '1 ms'`.execute(db)
      await sql`update label_scans set next_scan_at = now() - interval '1 ms'`.execute(db)
    },
    /** One round of the reconciler, as far as it concerns the router. */
    async sweep() {
      if (!(await ownersDue(db, 0)).includes('label-router')) return false
      const response = await router.fetch(new Request('http://router/sweep?grace=0', { method: 'POST' }))
      if (!response.ok) throw new Error(`the sweep was answered ${response.status}`)
      await eventually(async () => ((await control('GET', '/idle')) as { pending: number }).pending === 0, {
        what: 'redeliveries to end',
        timeoutMs: 60_000,
      })
      return true
    },
    /** Rounds until nothing is due and nothing is missing any more. */
    async catchUp(mostRounds: number): Promise<number> {
      for (let round = 1; round <= mostRounds; round++) {
        await this.sweep()
        // Rows of what has come go with the next sweep that is due.
        const { rows: missing } = await sql`
          select from redeliveries where state = 'missing' and not exists (
            select from inbox where inbox.hook_id = redeliveries.hook_id and inbox.delivery_id = redeliveries.delivery_id)`.execute(
          db,
        )
        const pending = await db
          .selectFrom('deliveries')
          .select('outbox_id')
          .where('consumer', '=', 'label-router')
          .where('state', '=', 'pending')
          .execute()
        if (missing.length + pending.length === 0) return round
        // What was put off comes with the next round, whenever that is.
        await sql`update deliveries set due_at = now() - interval '1 ms' where state = 'pending'`.execute(db)
      }
      const { rows } = await sql<{ left: unknown }>`
        select json_build_object('now', now(), 'hooks', (select json_agg(hook_checks) from hook_checks),
          'missing', (select json_agg(redeliveries) from redeliveries), 'deliveries', (
            select json_agg(deliveries) from deliveries where state = 'pending')) as left`.execute(db)
      throw new Error(`not caught up after ${mostRounds} rounds: ${JSON.stringify(rows[0]?.left)}`)
    },
  }
}

/** A running one. */
export type Away = Awaited<ReturnType<typeof startAway>>

/** Every label event of the forge has one run, or one refusal, and nothing else has: by the forge's own ledger. */
export async function runsByLabelEvent(away: Away): Promise<{ events: string[]; runs: string[] }> {
  const events = (await away.ledger('label.added'))
    .filter(({ label }) => label === 'run:dev')
    .map(({ id }) => String(id))
  const runs = await away.db.selectFrom('runs').select('label_event_id').execute()
  return { events: events.toSorted(), runs: runs.map(({ label_event_id }) => label_event_id).toSorted() }
}
