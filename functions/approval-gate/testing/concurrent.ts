import { randomUUID } from 'node:crypto'
import { sql } from 'kysely'
import type { Db } from '#shared/db/connect.ts'
import type { Row } from '#shared/db/schema.ts'
import { canonicalJson } from '#shared/digest.ts'
import { noRelay, post, quiet } from '#shared/edge/testing/post.ts'
import { eventApp } from '#shared/edge/event-app.ts'
import type { ApprovalPolicy } from '#shared/job/bundle.ts'
import { transaction } from '#shared/db/transaction.ts'
import { emit } from '#shared/outbox/write.ts'
import { receive } from '#shared/run/testing/receive.ts'
import { addProject, addRun } from '#shared/run/testing/rows.ts'
import { EVENT_TYPES } from '#shared/events/types.ts'
import { runEvent } from '#shared/run/run-event.ts'
import { approvalApi } from '../api.ts'
import { approvalGate, sweepGate } from '../handler.ts'
import type { Forge } from '../judge.ts'
import { store } from '../store.ts'
import { POLICY } from './policy.ts'

const TEXT = { title: 'Say hello', body: 'Please.' }
const AT = '2026-01-02T03:04:05Z'

/**
 * A replica of the gate with a forge of its own: everybody whose login begins with `w` may write, and it answers once
 * `meanwhile` is over.
 */
export function replica(db: Db, meanwhile: (login: string) => Promise<unknown> = async () => {}) {
  const comments = new Map<string, string>()
  const forge = (project: Row<'projects'>): Forge => ({
    repositoryId: async () => project.repository_id,
    async permission(login) {
      await meanwhile(login)
      return { actorId: login.replace(/\D/g, ''), permission: login.startsWith('w') ? 'write' : 'read' }
    },
    subject: async (number) => ({ id: String(number * 10), authorId: '1001', open: true, locked: false, ...TEXT }),
    head: async () => undefined,
    comment: async (id) => ({
      authorId: id.slice(-4),
      body: comments.get(id) ?? '',
      edited: false,
      viaApp: false,
    }),
    labelEvent: async (_number, _label, actorId) => ({ id: actorId, createdAt: new Date(AT) }),
  })
  const person = async (token: string) => ({ id: token.replace(/\D/g, ''), login: token, type: 'User' })
  const deps = { ...store(db), forge, person, relay: noRelay, log: quiet }
  const api = approvalApi(deps)
  const events = eventApp({
    consumer: 'approval-gate',
    db,
    relay: noRelay,
    log: quiet,
    handle: approvalGate(deps),
    close: async () => {},
  })
  return {
    sweep: sweepGate(deps),
    /** Decides by the API; the status and the code or the state of the answer. */
    async decide(run: Row<'runs'>, login: string, decision: 'approve' | 'deny', key: string = randomUUID()) {
      const body = { decision, digest: run.bundle_digest, ...(decision === 'deny' && { reason: 'no' }) }
      const response = await api.request(`/v1/runs/${run.id}/decisions`, {
        method: 'POST',
        headers: { authorization: `Bearer ${login}`, 'content-type': 'application/json', 'idempotency-key': key },
        body: JSON.stringify(body),
      })
      return { status: response.status, ...((await response.json()) as { code?: string; state: string }) }
    },
    /** Approves by a label that was set at 03:04:05 on 2 January 2026: what became of its event. */
    async label(project: Row<'projects'>, run: Row<'runs'>, login: string) {
      const event = {
        action: 'labeled',
        issue: { id: run.subject_number * 10, number: run.subject_number, updated_at: AT },
        label: { name: 'approve:dev' },
        sender: { id: Number(login.replace(/\D/g, '')), login, type: 'User' },
      }
      const how = { extensions: { labelgroup: 'approval' } }
      return post(events, db, 'approval-gate', await receive(db, project, event, how))
    },
    /** Decides by a comment, which the forge shows as it was or another way by now: what became of its event. */
    async comment(
      project: Row<'projects'>,
      run: Row<'runs'>,
      login: string,
      decision: 'approve' | 'deny',
      now?: string,
    ) {
      const body = decision === 'approve' ? `/approve ${(run.bundle_digest ?? '').slice(0, 12)}` : '/deny no'
      const user = { id: Number(login.replace(/\D/g, '')), login, type: 'User' }
      // The author's number stands at the end, where the forge above finds it.
      const id = `${Math.floor(Math.random() * 1e9) + 1}${String(user.id).padStart(4, '0')}`
      comments.set(id, now ?? body)
      const event = {
        action: 'created',
        issue: { id: run.subject_number * 10, number: run.subject_number, updated_at: AT },
        comment: { id: Number(id), body, user },
        sender: user,
      }
      const how = { event: 'issue_comment', extensions: { command: decision } }
      return post(events, db, 'approval-gate', await receive(db, project, event, how))
    },
  }
}

/** A run that waits for an approval in a project of its own. */
export async function waitingRun(db: Db, policy: Partial<ApprovalPolicy> = {}, seconds = 3_600) {
  const gate = { ...POLICY, ...policy }
  const project = await addProject(db)
  const run = await addRun(db, project, {
    state: 'waiting_approval',
    manifest: { gate },
    texts: { instructions: 'Do it.', content: canonicalJson({ ...TEXT, comments: [] }), outputSchema: '{}' },
  })
  await transaction(db, async (tx) => {
    const approval = await tx
      .insertInto('approvals')
      .values({
        run_id: run.id,
        bundle_digest: run.bundle_digest ?? '',
        policy: JSON.stringify(gate),
        expires_at: sql<Date>`now() + make_interval(secs => ${seconds})`,
      })
      .returningAll()
      .executeTakeFirstOrThrow()
    await emit(tx, 'approval-gate', runEvent(EVENT_TYPES.approvalRequested, run, { rows: { approvals: [approval] } }))
  })
  return { project, run }
}
