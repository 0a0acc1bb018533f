import { refuse } from './headers.ts'

/** Largest body, bytes: what GitHub itself sends at most. */
export const MAX_BODY_BYTES = 25 * 1024 * 1024

const tooLarge = () => refuse(413, 'body_too_large', 'Body too large')

/**
 * The body, or the answer to one that is none: a declared length above the limit is refused with nothing read, an
 * undeclared one at the chunk that passes it. A declared length within it needs no counting: the parser takes no more.
 */
export async function readBody(request: Request): Promise<Buffer | Response> {
  const declared = request.headers.get('content-length')
  if (Number(declared ?? 0) > MAX_BODY_BYTES) return tooLarge()
  const chunks: Uint8Array[] = []
  let length = 0
  try {
    // Read at once it costs a tenth of what a web stream does.
    if (declared !== null) return Buffer.from(await request.arrayBuffer())
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
