import { createHmac, randomUUID } from 'node:crypto'
import type { World } from './world.ts'

/** A delivery as the forge would make it, to be sent when and as often as a test likes. */
export interface Signed {
  readonly event: string
  readonly body: string
  readonly guid?: string
}

/** What a delivery is answered; a status of 0 is no answer. The code is that of a refusal. */
export interface Answer {
  readonly status: number
  readonly code?: string
}

/** Sends a delivery to the world's hook, signed with its secret. Returns the status; 0 for no answer. */
export async function deliverSigned(world: World, delivery: Signed): Promise<number> {
  return (await answerTo(world, delivery)).status
}

/** Sends a delivery as `deliverSigned` does, for who wants to know why it is refused. */
export async function answerTo(world: World, { event, body, guid = randomUUID() }: Signed): Promise<Answer> {
  const signature = createHmac('sha256', world.hookSecret).update(body).digest('hex')
  const response = await fetch(world.hookUrl, {
    method: 'POST',
    headers: {
      'content-type': 'application/json',
      'x-github-event': event,
      'x-github-delivery': guid,
      'x-hub-signature-256': `sha256=${signature}`,
    },
    body,
  }).catch(() => undefined)
  const said = ((await response?.json().catch(() => ({}))) ?? {}) as { code?: string }
  return { status: response?.status ?? 0, ...said }
}

/** While paused the forge makes its deliveries into the void and remembers them. */
export async function pauseHooks(world: World, paused: boolean): Promise<void> {
  await fetch(`${world.forgeUrl}/_forge/hooks/${paused ? 'pause' : 'resume'}`, { method: 'POST' })
}

interface Listed {
  readonly id: number
  readonly event: string
  readonly status_code: number
  readonly guid: string
}

/** The newest deliveries that the forge has made or tried to make, oldest first, with what was in them. */
export async function recordedDeliveries(world: World, count: number): Promise<(Listed & { readonly body: string })[]> {
  const hook = await hookPath(world)
  const listed: Listed[] = []
  for (let last: Listed | undefined; listed.length < count; last = listed.at(-1)) {
    const cursor = last === undefined ? '' : `&cursor=v1_${last.id}`
    const size = Math.min(100, count - listed.length)
    const page = await world.person<Listed[]>('GET', `${hook}/deliveries?per_page=${size}${cursor}`)
    if (page.length === 0) break
    listed.push(...page)
  }
  const whole = []
  for (const delivery of listed.toReversed()) {
    const { request } = await world.person<{ request: { payload: object } }>('GET', `${hook}/deliveries/${delivery.id}`)
    whole.push({ ...delivery, body: JSON.stringify(request.payload) })
  }
  return whole
}

/** What a person, or the reconciler, does with deliveries that the forge lists as failed. */
export async function redeliverFailed(world: World): Promise<void> {
  const hook = await hookPath(world)
  const listed = await world.person<Listed[]>('GET', `${hook}/deliveries?per_page=100`)
  const arrived = new Set(listed.filter(({ status_code }) => status_code === 202).map(({ guid }) => guid))
  for (const { id, guid } of listed) {
    if (!arrived.has(guid)) await world.person('POST', `${hook}/deliveries/${id}/attempts`)
  }
}

async function hookPath(world: World): Promise<string> {
  const [hook] = await world.person<{ id: number }[]>('GET', '/repos/maria/shop/hooks')
  return `/repos/maria/shop/hooks/${hook?.id}`
}
