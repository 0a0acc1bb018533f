import type { Log } from '#shared/log.ts'

/** What this function needs from the world, and nothing more. */
export interface Deps {
  /** Puts overdue outbox rows on the broker; returns how many it accepted. */
  relay(graceSeconds: number): Promise<number>
  ownersDue(graceSeconds: number): Promise<readonly string[]>
  /** Calls the owner's `/sweep`. Throws when it does not answer 2xx. */
  sweep(owner: string, graceSeconds: number): Promise<void>
  readonly log: Log
}

/** What one round found. */
export interface Round {
  readonly relayed: number
  readonly swept: readonly string[]
  readonly failed: readonly string[]
}

/** Asks what is due and wakes its owner. It owns nothing itself: no forge token, no cluster rights. */
export async function reconcile(deps: Deps, graceSeconds: number): Promise<Round> {
  // A broker that is away, or a row that cannot be relayed, is no reason to leave the owners asleep.
  const relayed = await deps.relay(graceSeconds).catch((error: unknown) => {
    deps.log.warn({ err: error }, 'the relay failed; the next round tries again')
    return 0
  })
  const owners = await deps.ownersDue(graceSeconds)
  const results = await Promise.allSettled(owners.map((owner) => deps.sweep(owner, graceSeconds)))
  const failed = owners.filter((_, index) => results[index]?.status === 'rejected')
  for (const owner of failed) deps.log.warn({ owner }, 'an owner did not answer; the next round asks again')
  return { relayed, swept: owners.filter((owner) => !failed.includes(owner)), failed }
}
