import type { IncomingMessage } from 'node:http'
import { crashPoint } from '#shared/crash-point.ts'
import { sha256 } from '#shared/digest.ts'
import { problem } from '#shared/edge/problem.ts'
import { RetryLater } from '#shared/errors.ts'
import type { Log } from '#shared/log.ts'
import type { Leased, Relay } from '#shared/outbox/relay.ts'
import { inSpan } from '#shared/telemetry/trace.ts'
import { readBody } from './body.ts'
import { decide, type Decision, type Project } from './decide.ts'
import { extensionsOf } from './extensions.ts'
import { attributesOf } from './github-adapter.ts'
import { refusalOf, refuse } from './headers.ts'
import { at, idAt } from './json.ts'
import { readJson } from './limits.ts'
import type { Secrets } from './secrets.ts'
import { isBodyOf } from './shapes.ts'
import { verify } from './signature.ts'

/** A hook as the database has it. `previousSecretName` is null once the secret before has ended. */
export interface Hook {
  readonly id: string
  readonly instance: string
  readonly projectId: string | null
  /** The project of that id. */
  readonly project: Project | undefined
  readonly secretName: string
  readonly previousSecretName: string | null
  /** When it was looked up, by the database's clock: what it delivers now was received then. */
  readonly seenAt: Date
}

/** An authentic delivery as it came. */
export interface Received {
  readonly hook: Hook
  readonly deliveryId: string
  readonly event: string
  readonly bytes: Buffer
  readonly digest: string
}

/** What became of a delivery, now or the first time. */
export interface Stored {
  readonly state: 'accepted' | 'quarantined'
  readonly reason: string | null
  readonly duplicate: boolean
  /** Outbox rows that have not reached the broker: ours by a lease, or an earlier request's by id. */
  readonly unsent: readonly (string | Leased)[]
}

/** What the gateway keeps and looks up. */
export interface Storage {
  findHook(id: string): Promise<Hook | undefined>
  /** The hook's own project, or for an App's hook the one with this repository and installation. */
  findProject(
    hook: Hook,
    repositoryId: string | undefined,
    installationId: string | undefined,
  ): Promise<Project | undefined>
  /** Inbox and outbox in one transaction. The same delivery again changes nothing. */
  save(received: Received, decision: Decision): Promise<Stored>
  /** For how long work has been waiting for the database, milliseconds. */
  waitedMs(): number
}

/** What this function needs from the world, and nothing more. */
export interface Deps {
  readonly storage: Storage
  readonly secrets: Secrets
  readonly relay: Relay
  readonly log: Log
  /** Wakes what a run label will come to. */
  readonly wake?: (() => void) | undefined
}

/** Longest wait for a look into the database, milliseconds; the forge waits 10 s for our answer. */
const LOOKUP_MS = 1_500

/** Above this wait for the database deliveries are refused before any work: the forge would have given up on them. */
const SHED_MS = 1_000

const HOOK_ID = /^[a-z0-9]{8,64}$/

const overloaded = () => refuse(503, 'overloaded', 'Too much at once', 'deliver it again', { 'retry-after': '2' })

/** One answer for an unknown hook, a wrong signature and none: it must not tell a forger which. */
const unauthorized = () => problem({ status: 401, code: 'unauthorized', title: 'Not authorized' })

/** Limits, signature, content, binding, decision, one transaction, relay, answer: in this order. */
export function webhookGateway({ storage, secrets, relay, log, wake }: Deps) {
  return async (hookId: string, request: Request, incoming: IncomingMessage): Promise<Response> => {
    const refusal = refusalOf(request.headers) ?? (storage.waitedMs() > SHED_MS ? overloaded() : undefined)
    if (refusal !== undefined) return refusal
    const bytes = await readBody(incoming)
    if (bytes instanceof Response) return bytes

    const hook = await inTime(storage.findHook(HOOK_ID.test(hookId) ? hookId : ''))
    const key = verify(bytes, request.headers.get('x-hub-signature-256'), await secrets.keys(hook))
    const event = request.headers.get('x-github-event') ?? ''
    const deliveryId = request.headers.get('x-github-delivery') ?? ''
    const about = { hook: hook?.id, delivery: deliveryId, event }
    if (hook === undefined || key === undefined) {
      log.info(about, 'not authentic')
      return unauthorized()
    }
    // Until the forge has the new secret this line keeps coming; then the old one may go.
    if (key === 'previous') log.warn(about, 'signed with the previous secret')

    // The trace begins here, and never with what the sender says of one: what is not authentic makes none.
    const route = { 'faas.name': 'webhook-gateway', 'http.route': '/hooks/github/:hook' }
    return inSpan({ name: 'receive webhook', kind: 'server', attributes: route }, async (span) => {
      const decision = await understand(hook, event, bytes)
      if (asksForARun(decision)) wake?.()
      const stored = await storage.save({ hook, deliveryId, event, bytes, digest: sha256(bytes) }, decision)
      crashPoint('gateway.after-commit')
      await relay.after(stored.unsent)
      const { state, reason, duplicate } = stored
      log.info(
        { ...about, project: decision.projectId, bytes: bytes.length, state, reason, duplicate },
        'delivery stored',
      )
      span?.set({ 'codex_k8s.state': state, 'codex_k8s.duplicate': duplicate })
      crashPoint('gateway.before-answer')
      // The forge shows this to the hook's owner, who has proved to be one.
      const answer = JSON.stringify({ state, ...(reason === null ? {} : { reason }), duplicate })
      return new Response(answer, { status: 202, headers: { 'content-type': 'application/json' } })
    })
  }

  async function understand(hook: Hook, event: string, bytes: Buffer): Promise<Decision> {
    const body = await readJson(bytes)
    if (typeof body === 'string') return { kind: 'quarantine', projectId: hook.projectId, reason: body }
    const repositoryId = idAt(body, 'repository.id')
    const project = await inTime(storage.findProject(hook, repositoryId, idAt(body, 'installation.id')))
    return decide({
      isAppHook: hook.projectId === null,
      project,
      isPing: event === 'ping',
      namesRepository: at(body, 'repository') !== undefined,
      repositoryId,
      isOfClaimedEvent: isBodyOf(event, body),
      attributes: attributesOf(event, body, new Date().toISOString()),
      extensions: extensionsOf(body, project),
    })
  }
}

function asksForARun(decision: Decision): boolean {
  if (decision.kind === 'quarantine') return false
  const { action, labelgroup } = decision.extensions
  return action === 'labeled' && labelgroup === 'run'
}

/** A database that does not answer is noticed while the forge still listens. */
async function inTime<T>(work: Promise<T>): Promise<T> {
  let timer: NodeJS.Timeout | undefined
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new RetryLater('the database does not answer')), LOOKUP_MS)
  })
  try {
    return await Promise.race([work, late])
  } finally {
    clearTimeout(timer)
  }
}
