import { startPod } from './pod.ts'
import { functionUrl } from './platform.ts'

/**
 * Sweeps as the PingSource does, from inside of the cluster and straight to the reconciler, but every two seconds, and with
 * five seconds instead of a minute until something counts as overdue.
 */
export function startClock(): Promise<{ stop(): Promise<void> }> {
  const url = `${functionUrl('reconciler')}/sweep?grace=5`
  return startPod(
    'clock',
    `for (;;) {
      await fetch('${url}', { method: 'POST', signal: AbortSignal.timeout(60_000) }).catch(() => {})
      await new Promise((resolve) => setTimeout(resolve, 2_000))
    }`,
  )
}
