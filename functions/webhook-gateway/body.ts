import type { IncomingMessage } from 'node:http'
import { linger } from '#shared/edge/linger.ts'
import { refuse } from './headers.ts'

/** Largest body, bytes: what GitHub itself sends at most. */
export const MAX_BODY_BYTES = 25 * 1024 * 1024

/** Refuses it, and reads no more of it: a paused request would still fill its buffer, and a finished one be emptied. */
function tooLarge(incoming: IncomingMessage): Response {
  const { socket } = incoming
  incoming._read = () => {}
  socket.pause()
  socket.destroySoon = () => linger(socket)
  return refuse(413, 'body_too_large', 'Body too large')
}

/**
 * The body, or the answer to one that is none: a declared length above the limit is refused with nothing read, an
 * undeclared one at the read that passes it, after which the socket is read no more. It is taken from Node's request:
 * a web stream in between reads ahead, and costs ten times as much.
 */
export function readBody(incoming: IncomingMessage): Promise<Buffer | Response> {
  if (Number(incoming.headers['content-length'] ?? 0) > MAX_BODY_BYTES) return Promise.resolve(tooLarge(incoming))
  const chunks: Buffer[] = []
  let length = 0
  return new Promise((resolve) => {
    const end = (body: Buffer | Response) => {
      incoming.removeListener('data', onData).removeListener('end', onEnd).removeListener('close', onClose)
      resolve(body)
    }
    const onData = (chunk: Buffer) => {
      length += chunk.length
      if (length <= MAX_BODY_BYTES) return void chunks.push(chunk)
      end(tooLarge(incoming))
    }
    const onEnd = () => end(chunks.length === 1 ? chunks[0]! : Buffer.concat(chunks, length))
    const onClose = () => end(refuse(400, 'incomplete_body', 'The body ended early'))
    // Whose sender was gone before we came to read says so no second time.
    if (incoming.destroyed) return onClose()
    incoming.on('data', onData).once('end', onEnd).once('close', onClose)
    // What went wrong is told by the end that is missing.
    incoming.once('error', () => {})
  })
}
