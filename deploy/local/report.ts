import type { Db } from '#shared/db/connect.ts'
import type { Row } from '#shared/db/schema.ts'
import { asPerson, type Demo } from './demo.ts'
import { reviewOf } from './review.ts'
import { runTests } from './run-tests.ts'
import { PERSON, type Stack } from './stack.ts'

/** What came of the run, for a person: the comment, the change, the tests, where the time went. */
export async function report(stack: Stack, demo: Demo, run: Row<'runs'>, print: (line: string) => void): Promise<void> {
  const { forgeUrl, db } = stack
  const change = await changeOf(db, run)
  const repository = `/repos/${demo.repository}`
  const files = await asPerson<{ filename: string; patch?: string }[]>(
    forgeUrl,
    'GET',
    `${repository}/pulls/${change.pull_number}/files`,
  )
  const comments = await asPerson<{ body: string }[]>(forgeUrl, 'GET', `${repository}/issues/${demo.issue}/comments`)

  heading(print, `The service comment on issue #${demo.issue}`)
  for (const { body } of comments.filter((one) => one.body.includes('<!-- codex-k8s:run:')))
    block(print, body.replace(/<!--.*?-->\n*/g, '').replace(/<\/?sub>/g, ''))
  heading(print, `The change, pull request #${change.pull_number}`)
  for (const { filename, patch = '' } of files) block(print, `${filename}\n${patch}`)
  heading(print, 'The tests, on a clone of each branch')
  for (const branch of [change.base_ref, change.branch])
    print(`  ${branch.padEnd(24)} ${await runTests(`${forgeUrl}/${demo.repository}.git`, branch)}`)
  heading(print, 'Where the time went')
  for (const [what, ms] of await times(stack, run)) print(`  ${(ms / 1000).toFixed(2).padStart(6)} s  ${what}`)
}

/** The change that a run works on. */
export function changeOf(db: Db, run: Row<'runs'>): Promise<Row<'changes'>> {
  return db.selectFrom('changes').selectAll().where('id', '=', run.change_id).executeTakeFirstOrThrow()
}

/** What to do next, each line a command that works while this runs. */
export async function tryNext(
  stack: Stack,
  demo: Demo,
  run: Row<'runs'>,
  print: (line: string) => void,
): Promise<void> {
  const api = `${stack.forgeUrl}/repos/${demo.repository}`
  const as = `-H 'authorization: Bearer ${PERSON.token}' -H 'content-type: application/json'`
  heading(print, 'Try next (it all stays up until Ctrl-C)')
  const commands: [string, string][] = [
    ['Another issue', `curl -s ${as} ${api}/issues -d '{"title":"Say hello","body":"Print a greeting at the start."}'`],
    ['Ask for it', `curl -s ${as} ${api}/issues/3/labels -d '{"labels":["run:dev"]}'`],
    ['See what became of it', `curl -s ${as} ${api}/issues/3/comments`],
    [
      'A label that means nothing wakes nobody',
      `curl -s ${as} ${api}/issues/${demo.issue}/labels -d '{"labels":["bug"]}'`,
    ],
    [
      'A forged webhook',
      `curl -si -X POST -H 'content-type: application/json' -H 'x-github-event: ping' -H 'x-github-delivery: 1' ${stack.url('webhook-gateway')}/hooks/github/nobody -d '{}'`,
    ],
    ['Read the repository', `git clone ${stack.forgeUrl}/${demo.repository}.git`],
    ['What the forge saw', `curl -s '${stack.forgeUrl}/_forge/ledger?kind=pull.created'`],
  ]
  const pull = run.state === 'succeeded' ? (await changeOf(stack.db, run)).pull_number : null
  if (pull !== null) {
    const review = JSON.stringify(await reviewOf(stack, demo, pull))
    commands.unshift([
      'Request changes: the same pull request is revised',
      `curl -s ${as} ${api}/pulls/${pull}/reviews -d '${review}'`,
    ])
  }
  for (const [what, command] of commands) print(`  # ${what}\n  ${command}`)
  print(`  # The database, with psql or anything else\n  ${stack.databaseUrl}`)
}

async function times(stack: Stack, run: Row<'runs'>): Promise<[string, number][]> {
  const { db } = stack
  const attempt = await db
    .selectFrom('attempts')
    .selectAll()
    .where('run_id', '=', run.id)
    .orderBy('attempt', 'desc')
    .limit(1)
    .executeTakeFirstOrThrow()
  const progress = await db
    .selectFrom('progress')
    .selectAll()
    .where('run_id', '=', run.id)
    .orderBy('sequence')
    .execute()
  const at = (kind: string) => progress.find((line) => line.kind === kind)?.at
  const steps: [string, Date | null | undefined][] = [
    ['the label is set', run.requested_at],
    ['label to run: webhook, verification, the rules', run.created_at],
    ['run to Job: capacity, intent, start', attempt.created_at],
    ['agent starts, fetches its input', at('started')],
    ['clone', at('cloned')],
    ['agent works: model, edits, tests', attempt.finished_at],
    ['policy, commit, pull request', run.updated_at],
  ]
  const known = steps.filter((step): step is [string, Date] => step[1] != null)
  // GitHub's clock has whole seconds, so the first step starts where the run's own inbox row does.
  const inbox = await db
    .selectFrom('inbox')
    .select('received_at')
    .where('project_id', '=', run.project_id)
    .where('received_at', '<=', run.created_at)
    .orderBy('received_at', 'desc')
    .limit(1)
    .executeTakeFirst()
  if (known[0] !== undefined && inbox !== undefined) known[0][1] = inbox.received_at
  return known.slice(1).map(([what, time], index) => [what, time.getTime() - (known[index]?.[1].getTime() ?? 0)])
}

function heading(print: (line: string) => void, text: string): void {
  print(`\n${text}\n`)
}

function block(print: (line: string) => void, text: string): void {
  for (const line of text.trim().split('\n')) print(`  | ${line}`)
}
