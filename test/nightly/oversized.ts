import { connect } from 'node:net'
import { memoryOf, bytesRead } from '../performance/proc.ts'
import { eventually } from '../support/wait.ts'
import type { Gateway, Verdict } from './gateway.ts'

const MIB = 1024 * 1024

/** Largest body that is taken, bytes; and what may be read beyond it: 64 KiB of it, and all that is no body. */
const LIMIT = 25 * MIB
const SLACK = 64 * 1024 + 8 * 1024

/** How much the process may grow by whatever is sent to it, bytes. */
const GROWTH = 64 * MIB

/** What is sent after a POST's first line and the headers that every delivery has. */
interface Upload {
  readonly says: string
  readonly headers: string
  /** Bytes of the body, if the gateway lets them all be sent. */
  readonly bytes: number
  readonly chunked?: true
  /** What the first answer may be, and how much of all this the gateway may read. */
  readonly status: readonly number[]
  readonly atMost: number
}

/** W11 and W26: bodies that are too large, or lie about it, with every middleware on. Nothing is read beyond the limit. */
export async function oversized(gateway: Gateway, endless: number): Promise<Verdict[]> {
  const uploads: readonly Upload[] = [
    {
      says: 'a declared length one byte above the limit',
      headers: `content-length: ${LIMIT + 1}`,
      bytes: LIMIT + 1,
      status: [413],
      atMost: SLACK,
    },
    {
      says: `${Math.round(endless / MIB)} MiB in chunks`,
      headers: 'transfer-encoding: chunked',
      bytes: endless,
      chunked: true,
      status: [413],
      atMost: LIMIT + SLACK,
    },
    {
      says: '30 MiB after a length of 10',
      headers: 'content-length: 10',
      bytes: 30 * MIB,
      // What follows is no request, and that is answered first.
      status: [400, 401],
      atMost: SLACK,
    },
    ...['-1', '1e9', '10\r\ncontent-length: 11', '10\r\ntransfer-encoding: chunked'].map((length) => ({
      says: `content-length: ${length.replace('\r\n', ', ')}`,
      headers: `content-length: ${length}`,
      bytes: 10,
      status: [400],
      atMost: SLACK,
    })),
  ]
  await gateway.deliver()
  const before = memoryOf(gateway.pid).now
  const verdicts: Verdict[] = []
  for (const upload of uploads) {
    const started = bytesRead(gateway.pid)
    const status = await send(gateway, upload)
    const read = bytesRead(gateway.pid) - started
    verdicts.push({
      row: 'W11, W26',
      says: `${upload.says}: ${status}, ${read} bytes read (limit ${upload.atMost})`,
      holds: upload.status.includes(status) && read <= upload.atMost,
    })
  }
  const { peak } = memoryOf(gateway.pid)
  const { status } = await gateway.deliver()
  verdicts.push({
    row: 'W11',
    says: `it grew by ${Math.round((peak - before) / MIB)} MiB at most (limit ${GROWTH / MIB}); the next delivery ${status}`,
    holds: peak - before < GROWTH && status === 202,
  })
  return verdicts
}

/** Sends until all is sent or the gateway has closed the connection; resolves with the status of its first answer, 0 for none. */
async function send({ port, hookPath }: Gateway, { headers, bytes, chunked }: Upload): Promise<number> {
  const socket = connect(port, '127.0.0.1')
  let [answer, closed, left] = ['', false, bytes]
  socket.on('data', (data) => (answer += data.toString('latin1')))
  socket.on('error', () => {})
  socket.on('close', () => (closed = true))
  const filler = Buffer.alloc(64 * 1024, 'x')
  const push = () => {
    for (let room = true; room && left > 0 && !closed;) {
      const part = filler.subarray(0, Math.min(left, filler.length))
      left -= part.length
      room = socket.write(chunked ? Buffer.concat([Buffer.from(`${part.length.toString(16)}\r\n`), part, CRLF]) : part)
    }
  }
  socket.on('drain', push)
  const own = `x-github-event: watch\r\nx-github-delivery: large\r\nx-hub-signature-256: sha256=${'0'.repeat(64)}`
  socket.write(`POST ${hookPath} HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\n${own}\r\n${headers}\r\n\r\n`)
  push()
  await eventually(() => closed, { what: 'the gateway to close the connection', timeoutMs: 60_000 })
  return Number(answer.slice('HTTP/1.1 '.length, 'HTTP/1.1 '.length + 3))
}

const CRLF = Buffer.from('\r\n')
