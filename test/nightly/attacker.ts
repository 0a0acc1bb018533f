import { setTimeout as sleep } from 'node:timers/promises'
import { sender } from './sender.ts'

// A process of its own, so that what it costs to attack is not measured as what an attack does.
// attacker.ts PORT HOOK_PATH PER_SECOND SECONDS; prints the answers by status as JSON.

const [port, path = '', perSecond, seconds] = process.argv.slice(2)
const send = sender(Number(port))
const statuses: Record<number, number> = {}
const all: Promise<void>[] = []
const began = performance.now()
const lengthMs = Number(seconds) * 1_000
for (let now = began; now < began + lengthMs; now = performance.now()) {
  while (all.length < ((now - began) / 1_000) * Number(perSecond)) {
    const wrong = `sha256=${'0'.repeat(64)}`
    const one = send({ path, body: '{}', signature: wrong, from: '127.0.0.1' })
    all.push(one.then(({ status }) => void (statuses[status] = (statuses[status] ?? 0) + 1)))
  }
  await sleep(1)
}
await Promise.all(all)
const tookMs = performance.now() - began
process.stdout.write(JSON.stringify({ sent: all.length, perSecond: (all.length / tookMs) * 1_000, statuses }))
process.exit(0)
