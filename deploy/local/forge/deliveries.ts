import { createHmac, randomUUID } from 'node:crypto'

import type { Hook } from './hooks.ts'
import type { Ledger } from './ledger.ts'

/** One attempt to deliver an event to a hook. */
export interface Delivery {
  readonly id: number
  readonly guid: string
  readonly hookId: number
  readonly event: string
  readonly action: string | null
  readonly installationId: number | null
  readonly repositoryId: number | null
  readonly about: Message['about']
  readonly redelivery: boolean
  readonly deliveredAt: string
  readonly url: string
  readonly request: {
    readonly headers: Readonly<Record<string, string>>
    readonly body: string
    readonly payload: string
  }
  duration: number
  status: string
  statusCode: number
  response: { headers: Readonly<Record<string, string>>; payload: string }
}

/** What is sent to a hook. */
export interface Message {
  readonly event: string
  readonly action: string | null
  readonly payload: string
  readonly installationId: number | null
  readonly repositoryId: number | null
  /** The repository's name and the issue or pull request, for the ledger. */
  readonly about: { readonly repo: string | null; readonly number: number | null }
}

/** Sends webhooks and remembers every attempt. */
export interface Deliveries {
  send(hook: Hook, message: Message): void
  /** The same body under the same GUID, once more. */
  repeat(hook: Hook, delivery: Delivery): Delivery
  /** Newest first. */
  of(hook: Hook): readonly Delivery[]
  /** While paused every attempt fails as if the network were down. */
  pause(paused: boolean): void
  pending(): number
  /** Count a task that will send something as pending. */
  track(task: Promise<void>): void
  close(): void
}

const TIMEOUT = 10_000

/** GitHub's delivery: signed, ten seconds, never repeated on its own. */
export function createDeliveries(ledger: Ledger, nextId: () => number): Deliveries {
  const all = new Map<number, Delivery[]>()
  const stop = new AbortController()
  let paused = false
  let pending = 0

  function start(hook: Hook, message: Message, guid: string, redelivery: boolean): Delivery {
    const { content_type, secret, url } = hook.config
    const body = content_type === 'json' ? message.payload : `payload=${encodeURIComponent(message.payload)}`
    const sign = (algorithm: string) =>
      `${algorithm}=${createHmac(algorithm, secret ?? '')
        .update(body)
        .digest('hex')}`
    const headers = {
      Accept: '*/*',
      'Content-Type': content_type === 'json' ? 'application/json' : 'application/x-www-form-urlencoded',
      'User-Agent': 'GitHub-Hookshot/f0r9e51',
      'X-GitHub-Delivery': guid,
      'X-GitHub-Event': message.event,
      'X-GitHub-Hook-ID': String(hook.id),
      'X-GitHub-Hook-Installation-Target-ID': String(hook.target.id),
      'X-GitHub-Hook-Installation-Target-Type': hook.target.type,
      ...(secret ? { 'X-Hub-Signature': sign('sha1'), 'X-Hub-Signature-256': sign('sha256') } : {}),
    }
    const delivery: Delivery = {
      id: nextId(),
      guid,
      hookId: hook.id,
      event: message.event,
      action: message.action,
      installationId: message.installationId,
      repositoryId: message.repositoryId,
      about: message.about,
      redelivery,
      deliveredAt: new Date().toISOString(),
      url,
      request: { headers, body, payload: message.payload },
      duration: 0,
      status: 'pending',
      statusCode: 0,
      response: { headers: {}, payload: '' },
    }
    const attempts = all.get(hook.id) ?? []
    attempts.push(delivery)
    all.set(hook.id, attempts)
    pending++
    void attempt(delivery).then(() => {
      pending--
      if (stop.signal.aborted) return
      hook.lastResponse = {
        code: delivery.statusCode || null,
        status: delivery.statusCode < 400 ? 'active' : 'failed',
        message: delivery.status,
      }
      const { id, event, action, status, statusCode, duration } = delivery
      ledger.add('delivery', {
        id,
        guid,
        hookId: hook.id,
        event,
        action,
        redelivery,
        status,
        statusCode,
        duration,
        ...message.about,
        repositoryId: message.repositoryId,
        installationId: message.installationId,
      })
    })
    return delivery
  }

  async function attempt(delivery: Delivery): Promise<void> {
    const begun = performance.now()
    try {
      if (paused) throw new Error('paused')
      const response = await fetch(delivery.url, {
        method: 'POST',
        headers: delivery.request.headers,
        body: delivery.request.body,
        redirect: 'manual',
        signal: AbortSignal.any([stop.signal, AbortSignal.timeout(TIMEOUT)]),
      })
      const payload = await response.text()
      delivery.statusCode = response.status
      delivery.status = response.ok ? 'OK' : `Invalid HTTP Response: ${response.status}`
      delivery.response = { headers: Object.fromEntries(response.headers), payload: payload.slice(0, 65_536) }
    } catch (error) {
      delivery.status =
        error instanceof Error && error.name === 'TimeoutError' ? 'timed out' : 'failed to connect to host'
    }
    delivery.duration = Math.round(performance.now() - begun) / 1000
  }

  return {
    send: (hook, message) => void start(hook, message, randomUUID(), false),
    repeat(hook, { request, guid, event, action, installationId, repositoryId, about }) {
      return start(hook, { payload: request.payload, event, action, installationId, repositoryId, about }, guid, true)
    },
    of: (hook) => (all.get(hook.id) ?? []).toReversed(),
    pause: (value) => void (paused = value),
    pending: () => pending,
    track(task) {
      pending++
      void task.catch(console.error).then(() => pending--)
    },
    close: () => stop.abort(),
  }
}
