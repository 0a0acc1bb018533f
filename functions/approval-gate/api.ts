import { Hono, type Context } from 'hono'
import { bodyLimit } from 'hono/body-limit'
import * as v from 'valibot'
import { crashPoint } from '#shared/crash-point.ts'
import { answerError } from '#shared/edge/event-app.ts'
import { problem } from '#shared/edge/problem.ts'
import { RetryLater } from '#shared/errors.ts'
import type { TokenOwner } from '#shared/forge/github/token-owner.ts'
import type { Log } from '#shared/log.ts'
import { lookAgain } from '#shared/outbox/deliver.ts'
import type { Relay } from '#shared/outbox/relay.ts'
import { schemaProblems } from '#shared/schema-problems.ts'
import { refusalOf, type RefusalCode } from '#shared/workflow/refusals.ts'
import type { Deps } from './handler.ts'
import { judge, type Answer, type Approval, type Command } from './judge.ts'

/** What the routes need besides what the gate needs anyway. */
export interface ApiDeps extends Deps {
  approvalOf(runId: string): Promise<Approval | undefined>
  /** Everything that would run, and what people wrote. */
  bundleOf(digest: string): Promise<{ readonly manifest: object; readonly content: object }>
  decisionsOf(approvalId: string): Promise<readonly object[]>
  /** Whose token it is. */
  person(token: string): Promise<TokenOwner | 'unknown' | 'no-person'>
  readonly relay: Relay
  readonly log: Log
}

const MAX_BODY_BYTES = 4 * 1024

const Line = v.pipe(
  v.string(),
  v.trim(),
  v.regex(/^[^\p{Cc}\p{Cs}\p{Zl}\p{Zp}]{1,500}$/u, 'expected one line of 1 to 500 characters'),
)
const Digest = v.pipe(v.string(), v.regex(/^[0-9a-f]{12,64}$/, 'expected 12 to 64 lower-case hex digits'))

/** Body of `POST /v1/runs/{run}/decisions`. Who denies says why. */
const DecisionRequest = v.variant('decision', [
  v.strictObject({ decision: v.literal('approve'), digest: Digest, reason: v.exactOptional(Line) }),
  v.strictObject({ decision: v.literal('deny'), digest: Digest, reason: Line }),
])

const IDEMPOTENCY_KEY = /^[\x21-\x7e]{1,200}$/

/** What a person may not decide is theirs to know; all the others came too late or meant something else. */
const forbidden: readonly (RefusalCode | null)[] = ['bot', 'self_approval', 'not_eligible']

/**
 * The gate's door for people and their tools, who prove who they are by a token of the forge. Only a POST of JSON decides;
 * nothing here is sent along by a browser on its own.
 */
export function approvalApi(deps: ApiDeps): Hono {
  const app = new Hono()
  const decisions = '/v1/runs/:run/decisions'

  app.post(
    decisions,
    bodyLimit({
      maxSize: MAX_BODY_BYTES,
      onError: () => problem({ status: 413, code: 'too_large', title: `At most ${MAX_BODY_BYTES} bytes` }),
    }),
    async (c) => {
      if (!/^application\/json(\s*;|$)/i.test(c.req.header('content-type') ?? ''))
        return problem({ status: 415, code: 'not_json', title: 'Content-Type has to be application/json' })
      const key = c.req.header('idempotency-key') ?? ''
      if (!IDEMPOTENCY_KEY.test(key))
        return problem({
          status: 400,
          code: 'idempotency_key_missing',
          title: 'Idempotency-Key has to be 1 to 200 visible ASCII characters',
        })
      const body = await readJson(c)
      if (body === undefined) return problem({ status: 400, code: 'bad_json', title: 'The body is not JSON' })
      const request = v.safeParse(DecisionRequest, body)
      if (!request.success)
        return problem({
          status: 422,
          code: 'invalid',
          title: 'Not a decision',
          detail: schemaProblems(request.issues),
        })
      return withPerson(c, async (person, approval) => {
        const { decision, digest, reason = null } = request.output
        const { id, login, type } = person
        const command: Command = {
          key: `api:${approval.run.id}:${id}:${key}`,
          source: 'api',
          decision,
          digest,
          reason,
          actor: { id, login, type, viaApp: false },
        }
        const answer = await decideNow(deps, approval.run.id, command)
        deps.log.info({ run: approval.run.id, actor: id, decision, answer }, 'decision')
        crashPoint('gate.before-answer')
        return answer === 'key_reused'
          ? problem({ status: 409, code: 'key_reused', title: 'This Idempotency-Key was used for another decision' })
          : said(answer)
      })
    },
  )
  app.all(decisions, () =>
    problem({ status: 405, code: 'method_not_allowed', title: 'Only a POST decides' }, { allow: 'POST' }),
  )

  app.get('/v1/runs/:run/approval', (c) =>
    withPerson(c, async (person, { id, run, digest, state, policy }) => {
      const project = await deps.project(run.project_id)
      const now = project && (await deps.forge(project).permission(person.login))
      if (now === undefined || now.actorId !== person.id || now.permission === 'none') return notFound()
      const [bundle, made] = await Promise.all([deps.bundleOf(digest), deps.decisionsOf(id)])
      return c.json({ run: run.id, state, digest, policy, ...bundle, decisions: made })
    }),
  )

  app.notFound(notFound)
  app.onError((error) => answerError(error, deps.log))
  return app

  async function withPerson(
    c: Context,
    work: (person: TokenOwner, approval: Approval) => Promise<Response>,
  ): Promise<Response> {
    const token = /^Bearer ([\x21-\x7e]{1,1000})$/i.exec(c.req.header('authorization') ?? '')?.[1]
    const person = token === undefined ? 'unknown' : await deps.person(token)
    if (person === 'unknown')
      return problem(
        { status: 401, code: 'unauthorized', title: 'A token of yours at the forge is needed' },
        { 'www-authenticate': 'Bearer' },
      )
    if (person === 'no-person') return refusal({ refusal: 'bot', state: 'pending' })
    const run = c.req.param('run') ?? ''
    const approval = v.is(v.pipe(v.string(), v.uuid()), run) ? await deps.approvalOf(run) : undefined
    return approval === undefined ? notFound() : work(person, approval)
  }
}

/** One decision, written in one transaction, and relayed. The same key again is the same answer. */
async function decideNow(deps: ApiDeps, run: string, command: Command): Promise<Answer | 'key_reused'> {
  return lookAgain(async () => {
    const approval = await deps.approvalOf(run)
    const project = approval && (await deps.project(approval.run.project_id))
    if (approval === undefined || project === undefined) throw new RetryLater('the approval is not visible')
    const judgement = await judge(deps, project, [approval], command)
    if (judgement === undefined) throw new RetryLater('the approval is not visible')
    const { write, answer } = judgement
    if (write === undefined) return answer
    const written = await deps.write(async (writer) => {
      await write(writer)
      crashPoint('gate.before-decision-commit')
    })
    crashPoint('gate.after-decision-commit')
    await deps.relay.after(written)
    return answer
  })
}

function said(answer: Answer): Response {
  const { refusal: refused, ...counted } = answer
  return refused === null ? Response.json(counted) : refusal({ refusal: refused, state: answer.state })
}

function refusal({ refusal: code, state }: { refusal: RefusalCode; state: Answer['state'] }): Response {
  const { says, next } = refusalOf(code)
  return problem({
    status: forbidden.includes(code) ? 403 : 409,
    code,
    title: `The decision does not count: who made it ${says}`,
    detail: next,
    members: { state },
  })
}

async function readJson(c: Context): Promise<unknown> {
  try {
    return JSON.parse(await c.req.text())
  } catch {
    return undefined
  }
}

const notFound = () => problem({ status: 404, code: 'not_found', title: 'Not found' })
