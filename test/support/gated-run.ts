import { sql } from 'kysely'
import type { Row } from '#shared/db/schema.ts'
import type { SeedInput } from '../../deploy/local/forge/seed.ts'
import { eventually } from './wait.ts'
import { startWorld, type WorldOptions } from './world.ts'

/** Somebody else with write access, for an hour, by comment, label or API. */
const gates: WorldOptions['gates'] = {
  dev: {
    users: [],
    permission: 'write',
    quorum: 1,
    excludeRequester: true,
    label: 'approve:dev',
    expiresAfterSeconds: 3_600,
  },
}

/** maria owns the repository and asks, walt may write, theo may triage. */
const seed: Partial<SeedInput> = {
  users: [
    { login: 'maria', id: 1001, token: 'maria-token' },
    { login: 'theo', id: 1002, token: 'theo-token' },
    { login: 'walt', id: 1004, token: 'walt-token' },
  ],
  repos: [
    {
      owner: 'maria',
      name: 'shop',
      files: { 'README.md': '# shop\n' },
      collaborators: { walt: 'write', theo: 'triage' },
      labels: ['run:dev', 'approve:dev'],
    },
  ],
}

/** A world in which a run waits for an approval and its comment says so; from here on a crash point is armed. */
export async function waitingRun(options: WorldOptions) {
  const { db } = options
  const world = await startWorld({ ...options, gates, seed })
  await world.drain()
  const issue = await world.issue()
  await world.label(issue)
  /** Sweeps until nothing is on its way and every comment is up to date, as if each edit were a while ago. */
  const settled = (what: string) =>
    eventually(
      async () => {
        await world.sweep()
        const behind = await db.selectFrom('comments').select('run_id').whereRef('wanted', '>', 'done').execute()
        const pending = await db.selectFrom('approvals').selectAll().executeTakeFirst()
        const { deliveries_pending: held } = await db.selectFrom('accounting').selectAll().executeTakeFirstOrThrow()
        await db
          .updateTable('comments')
          .set({ edited_at: sql`now() - interval '1 minute'` })
          .execute()
        return behind.length === 0 && held === 0 ? pending : undefined
      },
      { what, timeoutMs: 20_000 },
    )
  const approval = (await settled('an approval that is asked for')) as Row<'approvals'>
  await world.arm()
  const path = `/repos/maria/shop/issues/${issue}`
  return {
    world,
    issue,
    approval,
    settled,
    /** walt approves by the API. */
    decide: (key = 'one') =>
      fetch(`${world.url('approval-gate')}/v1/runs/${approval.run_id}/decisions`, {
        method: 'POST',
        headers: { authorization: 'Bearer walt-token', 'content-type': 'application/json', 'idempotency-key': key },
        body: JSON.stringify({ decision: 'approve', digest: approval.bundle_digest }),
      }),
    comments: async () => (await world.person<{ body: string }[]>('GET', `${path}/comments`)).map(({ body }) => body),
    labels: async () => (await world.person<{ name: string }[]>('GET', `${path}/labels`)).map(({ name }) => name),
  }
}
