import { fileURLToPath } from 'node:url'
import { startChild } from '../performance/child.ts'
import { p99, type Gateway, type Verdict } from './gateway.ts'

/** What the attacker says in the end. */
interface Attack {
  readonly sent: number
  readonly perSecond: number
  readonly statuses: Readonly<Record<number, number>>
}

/** W23: a flood of deliveries that are not authentic from one address, while another address delivers as ever. */
export async function flood(gateway: Gateway, perSecond: number, seconds: number): Promise<Verdict[]> {
  const alone = await p99(gateway, seconds * 1_000)
  const attack = await startChild(fileURLToPath(new URL('attacker.ts', import.meta.url)), {
    args: [gateway.port, gateway.hookPath, perSecond, seconds].map(String),
  })
  const beside = await p99(gateway, seconds * 1_000)
  const { sent, perSecond: rate, statuses } = JSON.parse(await attack.ended) as Attack
  const refused = statuses[429] ?? 0
  return [
    {
      row: 'W23',
      says: `${sent} bad signatures at ${Math.round(rate)}/s from one address: ${JSON.stringify(statuses)}`,
      holds: refused > sent * 0.9 && (statuses[202] ?? 0) === 0 && (statuses[503] ?? 0) === 0,
    },
    {
      row: 'W23',
      says: `p99 of another address beside it ${beside.toFixed(1)} ms, alone ${alone.toFixed(1)} ms (limit: twice)`,
      holds: beside < 2 * alone,
    },
  ]
}
