import type { ResultManifest } from '#shared/job/result.ts'
import type { RunGateway } from './gateway.ts'

/** How long the delivery may take, milliseconds: after the run's own end, and once somebody wants the process gone. */
const PATIENCE = { ended: 150_000, stopped: 5_000 }

/** Hands in the result, with the log if there is none yet. True when run-gateway took it. */
export async function deliver(
  gateway: RunGateway,
  result: ResultManifest,
  log: string,
  stop: AbortSignal,
): Promise<boolean> {
  const limit = new AbortController()
  const timers: NodeJS.Timeout[] = []
  const within = (milliseconds: number): void => {
    timers.push(setTimeout(() => limit.abort(), milliseconds))
  }
  within(stop.aborted ? PATIENCE.stopped : PATIENCE.ended)
  stop.addEventListener('abort', () => within(PATIENCE.stopped), { once: true })
  try {
    const stored = result.log ?? (await gateway.upload(Buffer.from(log), limit.signal).catch(() => null))
    await gateway.result({ ...result, log: stored }, limit.signal)
    return true
  } catch {
    return false
  } finally {
    for (const timer of timers) clearTimeout(timer)
  }
}
