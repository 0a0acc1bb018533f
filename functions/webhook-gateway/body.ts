import { refuse } from './headers.ts'

/** Largest body, bytes: what GitHub itself sends at most. */
export const MAX_BODY_BYTES = 25 * 1024 * 1024

const tooLarge = () => refuse(413, 'body_too_large', 'Body too large')

/**
 * The body, counted as it arrives, or the answer to one that is none: a declared length above the limit is refused with
 * nothing read, an undeclared one at the chunk that passes it.
 */
export async function readBody(request: Request): Promise<Buffer | Response> {
  if (Number(request.headers.get('content-length') ?? 0) > MAX_BODY_BYTES) return tooLarge()
  const chunks: Uint8Array[] = []
  let length = 0
  try {
    for await (const chunk of request.body ?? []) {
      length += chunk.length
      if (length > MAX_BODY_BYTES) return tooLarge()
      chunks.push(chunk)
    }
  } catch {
    return refuse(400, 'incomplete_body', 'The body ended early')
  }
  return Buffer.concat(chunks, length)
}
