import { setTimeout as sleep } from 'node:timers/promises'
import type { Answer, StaffApi } from './staff-api.ts'

/** What was found about one part of the platform, and what to do about it. */
export type Check = Omit<Answer<'getChecks'>['checks'][number], 'name'> & { readonly name: string }

type Stop = Exclude<Answer<'getPing'>['state'], 'in_ledger'>

/** Where a ping stopped, and what to do there. */
const stops: Readonly<Record<Stop, readonly [says: string, next: string]>> = {
  waiting: [
    'webhook-gateway has not stored it',
    "Look at the hook's page at the forge: is its address the public URL of webhook-gateway, and what was answered? Then the log of webhook-gateway.",
  ],
  received: [
    'webhook-gateway has stored it, and the broker does not have it',
    'See `kubectl get broker` and the log of webhook-gateway. Nothing is lost: the sweep brings it within five minutes.',
  ],
  sent: [
    'the broker has it, and it is not in the ledger',
    'See `kubectl get trigger` and the log of audit-sink. Nothing is lost: the sweep brings it within five minutes.',
  ],
}

/** Has the forge send a signed ping through the public URL and follows it to the ledger, at most so many seconds. */
export async function ping(staff: StaffApi, project: string, seconds: number): Promise<Check> {
  const { askedAt: since } = await staff('pingProject', { path: { project } })
  const began = performance.now()
  for (;;) {
    const { state, ledger } = await staff('getPing', { path: { project }, query: { since } })
    const took = (performance.now() - began) / 1_000
    if (state === 'in_ledger')
      return {
        name: 'ping',
        status: 'ok',
        says: `The ping is in the ledger as entry ${ledger?.seq}, after ${took.toFixed(1)} s.`,
        next: null,
      }
    if (took > seconds) {
      const [says, next] = stops[state]
      return {
        name: 'ping',
        status: 'failed',
        says: `The ping of ${since} did not arrive within ${seconds} s: ${says}.`,
        next,
      }
    }
    await sleep(1_000)
  }
}
