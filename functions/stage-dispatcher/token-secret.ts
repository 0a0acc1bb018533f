import type { V1Secret } from '@kubernetes/client-node'
import { labels } from './job-spec.ts'
import type { Job } from './launcher.ts'

/** The tokens of one attempt, gone with its Job. */
export function tokenSecret(job: Job, namespace: string, uid: string): V1Secret {
  return {
    apiVersion: 'v1',
    kind: 'Secret',
    type: 'Opaque',
    immutable: true,
    metadata: {
      name: job.name,
      namespace,
      labels,
      ownerReferences: [{ apiVersion: 'batch/v1', kind: 'Job', name: job.name, uid }],
    },
    stringData: { token: `${job.tokens.run}\n${job.tokens.model}\n` },
  }
}
