import { sql } from 'kysely'
import type { Db } from '#shared/db/connect.ts'
import type { Row } from '#shared/db/schema.ts'
import { canonicalJson } from '#shared/digest.ts'
import { noRelay, post, quiet, sweep } from '#shared/edge/testing/post.ts'
import { EVENT_TYPES } from '#shared/events/types.ts'
import type { ApprovalPolicy, Revise } from '#shared/job/bundle.ts'
import type { Log } from '#shared/log.ts'
import { forgeForFile } from '#shared/run/testing/forge.ts'
import { receive } from '#shared/run/testing/receive.ts'
import { addRun, runNow, saidOf, say } from '#shared/run/testing/rows.ts'
import { readApprovalCommand } from '#shared/workflow/approval-command.ts'
import { create } from '../app.ts'
import { POLICY } from './policy.ts'

interface Comment {
  readonly id: number
  readonly body: string
  readonly user: { readonly id: number; readonly login: string; readonly type: string }
}

/** One forge for a file of tests, and gates on it with a run that maria asked for on an issue of hers. */
export function gates() {
  const forge = forgeForFile()
  return {
    forge,
    async gate(
      db: Db,
      more: {
        policy?: Partial<ApprovalPolicy>
        author?: string
        columns?: Partial<Row<'runs'>>
        revise?: Revise
        log?: Log
      } = {},
    ) {
      const log = more.log ?? quiet
      const app = create({ db, relay: noRelay, log, github: forge.github() })
      const project = (await db.selectFrom('projects').selectAll().executeTakeFirst()) ?? (await forge.project(db))
      const text = { title: 'Say hello', body: 'Please.' }
      const issue = await forge.person<{ id: number; number: number }>('POST', forge.issues, text, more.author)
      const run = await addRun(db, project, {
        state: 'waiting_approval',
        manifest: { gate: { ...POLICY, ...more.policy }, ...(more.revise && { revise: more.revise }) },
        columns: { subject_number: issue.number, subject_id: String(issue.id), ...more.columns },
        texts: { instructions: 'Do it.', content: canonicalJson({ ...text, comments: [] }), outputSchema: '{}' },
      })
      await post(app, db, 'approval-gate', await say(db, EVENT_TYPES.stageRequested, run))
      const digest = run.bundle_digest ?? ''
      const take = async (event: string, body: object, extensions: Record<string, string>) =>
        post(app, db, 'approval-gate', await receive(db, project, body, { event, extensions }))
      const approval = () =>
        db.selectFrom('approvals').selectAll().where('run_id', '=', run.id).executeTakeFirstOrThrow()
      return {
        app,
        project,
        run,
        issue,
        digest,
        short: digest.slice(0, 12),
        take,
        approval,
        runNow: () => runNow(db, run.id),
        said: () => saidOf(db, run.id),
        sweep: () => sweep(app),
        decisions: () => db.selectFrom('decisions').selectAll().orderBy('decided_at').orderBy('key').execute(),
        /** Lets the time of the approval pass. */
        expire: (seconds = 1) =>
          db
            .updateTable('approvals')
            .set({ expires_at: sql`now() - make_interval(secs => ${seconds})` })
            .execute(),
        /** Writes a comment as somebody does, and its webhook's event as the gateway would pass it on. */
        async comment(login: string, body: string, change: (event: object) => object = (event) => event) {
          const comment = await forge.person<Comment>(
            'POST',
            `${forge.issues}/${issue.number}/comments`,
            { body },
            login,
          )
          return this.commented(comment, change)
        },
        commented(comment: Comment, change: (event: object) => object = (event) => event) {
          const event = {
            action: 'created',
            issue: { id: issue.id, number: issue.number, updated_at: new Date().toISOString() },
            comment,
            sender: comment.user,
            repository: { id: Number(project.repository_id), full_name: project.full_name },
          }
          const command = readApprovalCommand(comment.body)?.decision ?? 'approve'
          return take('issue_comment', change(event), { command })
        },
        /** Sets an approval label as somebody does, and passes its event on. */
        async label(login: string, label = 'approve:dev') {
          return take('issues', await forge.label(issue.number, label, login), { labelgroup: 'approval' })
        },
        /** As if the service comment had shown the digest so many seconds ago. */
        async shown(seconds: number, shownDigest = digest) {
          await db
            .insertInto('comments')
            .values({
              run_id: run.id,
              approval_digest: shownDigest,
              approval_shown_at: sql`now() - make_interval(secs => ${seconds})`,
            })
            .execute()
        },
        async api(
          login: string,
          body: object,
          {
            key = 'k1',
            to = run.id,
            headers = {},
          }: { key?: string; to?: string; headers?: Record<string, string> } = {},
        ) {
          const response = await app.fetch(
            new Request(`http://gate/v1/runs/${to}/decisions`, {
              method: 'POST',
              headers: {
                authorization: `Bearer ${login === 'helper-bot' ? 'bot' : login}-token`,
                'content-type': 'application/json',
                'idempotency-key': key,
                ...headers,
              },
              body: JSON.stringify(body),
            }),
          )
          return { status: response.status, body: (await response.json()) as Record<string, unknown> }
        },
      }
    },
  }
}
