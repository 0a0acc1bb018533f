import { setTimeout as sleep } from 'node:timers/promises'
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
  const command = await commandIn(forgeUrl, path)
  const waiting = await db
    .selectFrom('approvals')
    .innerJoin('runs', 'runs.id', 'approvals.run_id')
    .select(['approvals.bundle_digest', 'approvals.expires_at'])
    .where('runs.subject_number', '=', demo.issue)
    .orderBy('approvals.requested_at', 'desc')
    .executeTakeFirstOrThrow()
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

async function commandIn(forgeUrl: string, path: string): Promise<string> {
  for (const end = performance.now() + LONGEST_MS; performance.now() < end; await sleep(50)) {
    const comments = await asPerson<{ body: string }[]>(forgeUrl, 'GET', path)
    const command = comments.map(({ body }) => /\/approve [0-9a-f]{12}/.exec(body)?.[0]).find(Boolean)
    if (command !== undefined) return command
  }
  throw new Error('nobody was asked for an approval within a minute: start with --verbose to see why')
}
