import { setTimeout as sleep } from 'node:timers/promises'
import type { Db } from '#shared/db/connect.ts'
import { asPerson, type Demo } from './demo.ts'
import { APPROVER, type Stack } from './stack.ts'

/** Longest wait for the comment that says what is to be approved, milliseconds. */
const LONGEST_MS = 60_000

/** Waits until the comment says what is to be approved; then the other person approves it, or it is said how to. */
export async function askForApproval(
  { db, forgeUrl }: Stack,
  demo: Demo,
  approve: boolean,
  say: (line: string) => void,
): Promise<void> {
  const path = `/repos/${demo.repository}/issues/${demo.issue}/comments`
  const { waiting, command } = await commandIn(db, forgeUrl, demo, path)
  say(
    `the run waits for an approval of ${waiting.bundle_digest.slice(0, 12)}, until ${waiting.expires_at.toISOString()}`,
  )
  if (approve) {
    await asPerson(forgeUrl, 'POST', path, { body: command }, APPROVER)
    say(`${APPROVER.login} comments ${command}`)
    return
  }
  say(`approve it as ${APPROVER.login}:`)
  say(
    `curl -s -H 'authorization: Bearer ${APPROVER.token}' -H 'content-type: application/json' ${forgeUrl}${path} -d '{"body":"${command}"}'`,
  )
}

/** The approval that is pending, and the command for it that a comment shows. */
async function commandIn(db: Db, forgeUrl: string, demo: Demo, path: string) {
  for (const end = performance.now() + LONGEST_MS; performance.now() < end; await sleep(50)) {
    const waiting = await db
      .selectFrom('approvals')
      .innerJoin('runs', 'runs.id', 'approvals.run_id')
      .innerJoin('projects', 'projects.id', 'runs.project_id')
      .select(['approvals.bundle_digest', 'approvals.expires_at'])
      .where('projects.full_name', '=', demo.repository)
      .where('approvals.state', '=', 'pending')
      .executeTakeFirst()
    const comments = await asPerson<{ body: string }[]>(forgeUrl, 'GET', path)
    const command = comments
      .map(({ body }) => /\/approve [0-9a-f]{12}/.exec(body)?.[0])
      .find((shown) => waiting !== undefined && shown === `/approve ${waiting.bundle_digest.slice(0, 12)}`)
    if (waiting !== undefined && command !== undefined) return { waiting, command }
  }
  throw new Error('nobody was asked for an approval within a minute: start with --verbose to see why')
}
