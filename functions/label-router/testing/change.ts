import type { Db } from '#shared/db/connect.ts'
import type { Row } from '#shared/db/schema.ts'
import { canonicalJson, sha256 } from '#shared/digest.ts'
import { commitChangeSet } from '#shared/forge/github/commit.ts'
import { openPullRequest } from '#shared/forge/github/pull-request.ts'
import { repositoryRef } from '#shared/forge/github/repository-ref.ts'
import { addAttempt, addRun } from '#shared/run/testing/rows.ts'
import type { forgeForFile } from '#shared/run/testing/forge.ts'

/** Session file of the run that made the change. */
export const SESSION = '{"type":"session_meta"}\n'

/** An issue whose run has opened a pull request on the forge, as the platform has it in its tables. */
export async function publishedChange(
  forge: ReturnType<typeof forgeForFile>,
  db: Db,
  project: Row<'projects'>,
  more: { readonly issue?: number } = {},
) {
  const issue = more.issue ?? (await forge.issue())
  const { id } = await forge.person<{ id: number }>('GET', `${forge.issues}/${issue}`)
  const columns = { subject_number: issue, subject_id: String(id), requested_at: new Date(Date.now() - 60_000) }
  const run = await addRun(db, project, { state: 'succeeded', columns, manifest: { effort: 'low' } })
  const change = await db.selectFrom('changes').selectAll().where('id', '=', run.change_id).executeTakeFirstOrThrow()

  const repo = repositoryRef(project, forge.github())
  // A client of its own, so that what tests write does not use up the pace of the App.
  const person = forge.machine().for({ ...repo, installationId: null })
  const push = async (parent: string, text: string, expectedHead: string | null) => {
    const files = [{ path: 'hello.txt', mode: '100644' as const, content: new TextEncoder().encode(text) }]
    const made = await commitChangeSet(person, repo, {
      parent,
      branch: change.branch,
      message: text,
      files,
      expectedHead,
    })
    if ('conflict' in made) throw new Error(made.conflict)
    return made.commit
  }
  const { object } = await forge.person<{ object: { sha: string } }>('GET', '/repos/maria/shop/git/ref/heads/main')
  const head = await push(object.sha, 'hello\n', null)
  const marker = `<!-- codex-k8s:change:${change.id} -->`
  const wanted = { head: change.branch, base: 'main', title: 'Say hello', body: 'It greets.', marker }
  const pull = await openPullRequest(forge.github().for(repo), repo, wanted)
  if ('refused' in pull) throw new Error(pull.refused)
  await db
    .updateTable('changes')
    .set({ head_commit: head, pull_number: pull.number, pull_url: pull.url, base_commit: object.sha })
    .where('id', '=', change.id)
    .execute()

  const result = canonicalJson({
    outcome: 'succeeded',
    base: object.sha,
    changes: [],
    message: { title: 'Say hello', summary: 'Adds a greeting.', tests: 'None.' },
    session: sha256(SESSION),
    log: null,
    usage: { inputTokens: 1, cachedInputTokens: 0, outputTokens: 1 },
  })
  await db
    .insertInto('blobs')
    .values([result, SESSION].map((text) => ({ digest: sha256(text), bytes: Buffer.from(text) })))
    .onConflict((same) => same.doNothing())
    .execute()
  await addAttempt(db, run.id, { state: 'finished', result_digest: sha256(result) })
  return {
    issue,
    pull: pull.number,
    head,
    run,
    change,
    /** Somebody pushes to the branch; the new head. */
    push: (text = 'more\n') => push(head, text, head),
    close: () => forge.person('PATCH', `/repos/maria/shop/pulls/${pull.number}`, { state: 'closed' }),
  }
}
