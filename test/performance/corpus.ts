import { createHmac } from 'node:crypto'
import { writeFileSync } from 'node:fs'
import examples from '@octokit/webhooks-examples' with { type: 'json' }

/** A recorded delivery, signed for one hook. */
export interface SignedBody {
  readonly event: string
  readonly body: string
  readonly signature: string
}

/** What a busy repository sends. */
const EVENTS = [
  'issues',
  'issue_comment',
  'push',
  'pull_request',
  'pull_request_review',
  'check_run',
  'check_suite',
  'workflow_run',
  'workflow_job',
  'create',
  'delete',
  'status',
]

/** GitHub's own examples of these events, as if they came from one repository, signed with its hook's secret. */
export function corpus(repositoryId: string, secret: string): SignedBody[] {
  const recorded = examples as unknown as readonly { name: string; examples: readonly Record<string, unknown>[] }[]
  return recorded
    .filter(({ name }) => EVENTS.includes(name))
    .flatMap(({ name, examples: bodies }) =>
      bodies.flatMap(({ repository, ...rest }) => {
        if (typeof repository !== 'object') return []
        const body = JSON.stringify({ ...rest, repository: { ...repository, id: Number(repositoryId) } })
        const signature = `sha256=${createHmac('sha256', secret).update(body).digest('hex')}`
        return [{ event: name, body, signature }]
      }),
    )
}

/** Writes it where the load generator finds it; returns how large the bodies are, bytes. */
export function writeCorpus(path: string, bodies: readonly SignedBody[]): { median: number; largest: number } {
  writeFileSync(path, JSON.stringify(bodies))
  const sizes = bodies.map(({ body }) => Buffer.byteLength(body)).toSorted((a, b) => a - b)
  return { median: sizes[Math.floor(sizes.length / 2)] ?? 0, largest: sizes.at(-1) ?? 0 }
}
