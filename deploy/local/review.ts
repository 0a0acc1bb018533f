import type { Row } from '#shared/db/schema.ts'
import type { Db } from '#shared/db/connect.ts'
import type { ResultManifest } from '#shared/job/result.ts'
import { parseSession } from '../../agent/session.ts'
import { asPerson, type Demo } from './demo.ts'
import type { Stack } from './stack.ts'

/** What the person of the demonstration finds: rounding hides a typing mistake. */
export const REMARK =
  'This rounds whatever was typed: 19.999 becomes 20.00 without a word. A price with more than two decimals is a typing mistake; refuse it with a TypeError like anything that is no price, and add a test.'

const PATH = 'src/money.js'

/** The body of a review that requests changes, with the remark on the line that it is about if the diff shows it. */
export async function reviewOf({ forgeUrl }: Stack, demo: Demo, pull: number) {
  const files = await asPerson<{ filename: string; patch?: string }[]>(
    forgeUrl,
    'GET',
    `/repos/${demo.repository}/pulls/${pull}/files`,
  )
  const line = lineOf(files.find(({ filename }) => filename === PATH)?.patch)
  return {
    event: 'REQUEST_CHANGES',
    body: line === undefined ? REMARK : 'Nearly: one thing has to change.',
    comments: line === undefined ? [] : [{ path: PATH, line, body: REMARK }],
  }
}

/** Submits the review as the person would on the forge's page. */
export async function requestChanges(stack: Stack, demo: Demo, pull: number): Promise<void> {
  const path = `/repos/${demo.repository}/pulls/${pull}/reviews`
  await asPerson(stack.forgeUrl, 'POST', path, await reviewOf(stack, demo, pull))
}

/** What the second run made of it: the same pull request with one commit more, and one session of the agent. */
export async function reportRevision(
  stack: Stack,
  demo: Demo,
  runs: readonly [Row<'runs'>, Row<'runs'>],
  change: Row<'changes'>,
  print: (line: string) => void,
): Promise<void> {
  const commits = await asPerson<{ sha: string; commit: { message: string } }[]>(
    stack.forgeUrl,
    'GET',
    `/repos/${demo.repository}/pulls/${change.pull_number}/commits`,
  )
  print(`\nPull request #${change.pull_number} on ${change.branch}, as it is now\n`)
  for (const { sha, commit } of commits) print(`  ${sha.slice(0, 12)}  ${commit.message.split('\n', 1)[0]}`)
  const [first, second] = await Promise.all(runs.map(({ id }) => threadOf(stack.db, id)))
  const same = first !== undefined && first === second
  print(`\n  The agent ${same ? `went on with its session ${first}` : 'began a new session'}.`)
}

/** The first line of the new file that the patch adds or changes; undefined without a patch. */
function lineOf(patch: string | undefined): number | undefined {
  let at = 0
  for (const text of patch?.split('\n') ?? []) {
    const start = /^@@ -\d+(?:,\d+)? \+(\d+)/.exec(text)?.[1]
    if (start !== undefined) at = Number(start)
    else if (text.startsWith('+')) return at
    else if (!text.startsWith('-')) at += 1
  }
  return undefined
}

/** What the CLI calls the session that a run left. */
async function threadOf(db: Db, runId: string): Promise<string | undefined> {
  const blob = (digest: string) =>
    db.selectFrom('blobs').select('bytes').where('digest', '=', digest).executeTakeFirst()
  const { result_digest: digest } = await db
    .selectFrom('attempts')
    .select('result_digest')
    .where('run_id', '=', runId)
    .orderBy('fence', 'desc')
    .limit(1)
    .executeTakeFirstOrThrow()
  const result = JSON.parse((await blob(digest ?? ''))?.bytes.toString() ?? '{}') as Partial<ResultManifest>
  const session = result.outcome === 'succeeded' && result.session ? await blob(result.session) : undefined
  return session && parseSession(session.bytes)?.thread
}
