import { connect, type Socket } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import { p99, type Gateway, type Verdict } from './gateway.ts'

/** A request that never ends comes to an end here, milliseconds: what Knative and forges wait for an answer. */
const LONGEST_MS = 10_000

/** W12: thousands of senders of one byte a second, half of them in the headers, while somebody else delivers as ever. */
export async function slowSenders(gateway: Gateway, senders: number): Promise<Verdict[]> {
  const alone = await p99(gateway, 3_000)
  const lives: number[] = []
  const answers: string[] = []
  const sockets = new Set<Socket>()
  for (let index = 0; index < senders; index += 1) {
    const socket = connect(gateway.port, '127.0.0.1')
    const began = performance.now()
    let answer = ''
    sockets.add(socket)
    socket.on('data', (bytes) => (answer += bytes.toString('latin1')))
    socket.on('error', () => {})
    socket.on('close', () => {
      sockets.delete(socket)
      lives.push(performance.now() - began)
      answers.push(answer.slice(9, 12))
    })
    const head = `POST ${gateway.hookPath} HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\n`
    const rest = 'x-github-event: watch\r\nx-github-delivery: slow\r\ncontent-length: 1000\r\n\r\n'
    socket.write(index % 2 === 0 ? head : head + rest)
    if (index % 200 === 199) await sleep(10)
  }
  const drip = setInterval(() => {
    for (const socket of sockets) socket.write('a')
  }, 1_000)
  const beside = await p99(gateway, LONGEST_MS)
  for (let waited = 0; sockets.size > 0 && waited < 60; waited += 1) await sleep(500)
  clearInterval(drip)
  const longest = Math.round(Math.max(...lives))
  const timedOut = answers.filter((status) => status === '408').length
  return [
    {
      row: 'W12',
      says: `${senders} slow senders: all closed, the last after ${longest} ms (limit ${LONGEST_MS}), ${timedOut} with 408`,
      // The end is told to the sender, not to us: a little later than it was decided.
      holds: sockets.size === 0 && lives.length === senders && longest <= LONGEST_MS + 1_000 && timedOut === senders,
    },
    {
      row: 'W12',
      says: `an ordinary sender's p99 beside them ${beside.toFixed(1)} ms, alone ${alone.toFixed(1)} ms`,
      holds: beside < Math.max(2 * alone, 50),
    },
  ]
}
