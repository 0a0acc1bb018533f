import { setTimeout as sleep } from 'node:timers/promises'
import { p99, type Gateway, type Verdict } from './gateway.ts'

/** W23: a flood of deliveries that are not authentic from one address, while another address delivers as ever. */
export async function flood(gateway: Gateway, perSecond: number, seconds: number): Promise<Verdict[]> {
  const alone = await p99(gateway, seconds * 1_000)
  const statuses: Record<number, number> = {}
  let sent = 0
  const began = performance.now()
  const attack = (async () => {
    const all: Promise<void>[] = []
    for (let now = began; now < began + seconds * 1_000; now = performance.now()) {
      while (sent < ((now - began) / 1_000) * perSecond) {
        sent += 1
        all.push(
          gateway.deliver({ signed: false }).then(({ status }) => {
            statuses[status] = (statuses[status] ?? 0) + 1
          }),
        )
      }
      await sleep(1)
    }
    await Promise.all(all)
  })()
  const beside = await p99(gateway, seconds * 1_000)
  await attack
  const rate = Math.round(sent / ((performance.now() - began) / 1_000))
  const refused = statuses[429] ?? 0
  return [
    {
      row: 'W23',
      says: `${sent} bad signatures at ${rate}/s from one address: ${JSON.stringify(statuses)}`,
      holds: refused > sent * 0.9 && (statuses[202] ?? 0) === 0 && (statuses[503] ?? 0) === 0,
    },
    {
      row: 'W23',
      says: `p99 of another address beside it ${beside.toFixed(1)} ms, alone ${alone.toFixed(1)} ms (limit: twice)`,
      holds: beside < 2 * alone,
    },
  ]
}
