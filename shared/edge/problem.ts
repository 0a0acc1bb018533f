/** Largest error body, bytes. Longer ones crash Knative's dispatcher (a buffer of 1024 base64 characters, eventing 0.49). */
const MAX_PROBLEM_BYTES = 512

/** An RFC 9457 problem document; `code` is stable and for machines, `detail` says what to do. */
export interface Problem {
  readonly status: number
  readonly code: string
  readonly title: string
  readonly detail?: string
  /** Extension members, short ones. */
  readonly members?: Readonly<Record<string, string>>
}

/** The response for a problem. A detail that would pass the size limit is left out, never cut. */
export function problem(
  { status, code, title, detail, members }: Problem,
  headers: Readonly<Record<string, string>> = {},
): Response {
  const short = { type: `urn:codex-k8s:${code}`, title, status, code, ...members }
  const whole = JSON.stringify({ ...short, detail })
  const body = Buffer.byteLength(whole) <= MAX_PROBLEM_BYTES ? whole : JSON.stringify(short)
  return new Response(body, { status, headers: { ...headers, 'content-type': 'application/problem+json' } })
}
