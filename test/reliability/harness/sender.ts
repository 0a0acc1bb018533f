import { setTimeout as sleep } from 'node:timers/promises'
import type { Delivery, Mailbox } from './mailbox.ts'

/** What the sender knows: its own ledger of what it sent and what was answered. */
export interface SenderLedger {
  /** Requests made, repeats included. */
  sent: number
  /** Requests without a 2xx. */
  refused: number
  /** By hook and delivery id: acknowledged with a 2xx, once or more often. */
  readonly acknowledged: Set<string>
  /** Answers of 2xx. */
  acknowledgements: number
  /** Longest time to an answer, milliseconds. */
  slowest: number
  /** Statuses that are neither 202 nor 5xx nor none at all. */
  readonly strange: Map<number, number>
}

/** A sender like GitHub: ten seconds of patience. What got no 2xx is sent again later, as catching up would. */
export interface Sender {
  readonly ledger: SenderLedger
  /** Nothing waits and nothing is under way. */
  idle(): boolean
  /** Sends as fast as it is taken from here on. */
  hurry(): void
  close(): Promise<void>
}

const TIMEOUT_MS = 10_000

/** Requests under way at most. */
const LANES = 8

/** Starts to send what is in the mailbox to the gateways in turn, at most so many a second. */
export function startSender(mailbox: Mailbox, gateways: readonly string[], perSecond: number): Sender {
  const ledger: SenderLedger = {
    sent: 0,
    refused: 0,
    acknowledged: new Set(),
    acknowledgements: 0,
    slowest: 0,
    strange: new Map(),
  }
  const begun = performance.now()
  let [closed, hurried, underWay] = [false, false, 0]
  const isDue = () => hurried || ledger.sent < ((performance.now() - begun) / 1_000) * perSecond

  const send = async (delivery: Delivery) => {
    const { guid, event, body, signature, path } = delivery
    const since = performance.now()
    const gateway = gateways[(ledger.sent += 1) % gateways.length] ?? ''
    const status = await fetch(`${gateway}${path}`, {
      method: 'POST',
      headers: {
        'content-type': 'application/json',
        'x-github-event': event,
        'x-github-delivery': guid,
        'x-hub-signature-256': signature,
      },
      body,
      signal: AbortSignal.timeout(TIMEOUT_MS),
    }).then(
      async (response) => (await response.arrayBuffer(), response.status),
      () => 0,
    )
    ledger.slowest = Math.max(ledger.slowest, performance.now() - since)
    if (status >= 200 && status < 300) {
      ledger.acknowledged.add(`${path.split('/').at(-1)} ${guid}`)
      ledger.acknowledgements += 1
      return
    }
    ledger.refused += 1
    if (status !== 0 && status < 500) ledger.strange.set(status, (ledger.strange.get(status) ?? 0) + 1)
    mailbox.again(delivery, 1_000)
  }
  const lane = async () => {
    while (!closed) {
      const delivery = isDue() ? mailbox.take(hurried) : undefined
      if (delivery === undefined) {
        await sleep(10)
        continue
      }
      underWay += 1
      await send(delivery).finally(() => (underWay -= 1))
    }
  }
  const lanes = Promise.all(Array.from({ length: LANES }, lane))
  return {
    ledger,
    idle: () => mailbox.waiting === 0 && underWay === 0,
    hurry: () => void (hurried = true),
    async close() {
      closed = true
      await lanes
    },
  }
}
