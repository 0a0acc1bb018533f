import type { Answer } from '../staff-api.ts'

/** When the tests' things were made: long enough ago that their age is a whole number of days. */
export const LONG_AGO = '2020-01-01T00:00:00.000Z'

const id = (digit: string) => `581e7fc7-1840-41b9-9fdb-${digit.repeat(12)}`

export const RUN = id('1')
export const EVENT = id('2')
export const PROJECT = id('3')

/** A failed run. */
export const run: Answer<'listRuns'>['runs'][number] = {
  id: RUN,
  project: PROJECT,
  repository: 'maria/invoice-1',
  number: 7,
  stage: 'dev',
  label: 'run:dev',
  state: 'failed',
  reason: { code: 'agent_lost', says: 'The agent was lost twice.', next: 'Set the label again.' },
  detail: null,
  requester: { id: '42', login: 'maria' },
  requestedAt: LONG_AGO,
  createdAt: LONG_AGO,
  updatedAt: LONG_AGO,
  change: { id: id('4'), branch: 'agent/7-9d3479fa85', base: 'a'.repeat(40), pull: null },
  retryOf: null,
}

/** A run that is as it should be, with everything in it. */
export const details: Answer<'getRun'> = {
  run,
  digest: 'b'.repeat(64),
  tokens: { charged: 15_780, budget: 4_000_000 },
  attempts: [
    {
      attempt: 1,
      state: 'lost',
      reason: null,
      createdAt: LONG_AGO,
      deadlineAt: LONG_AGO,
      lastSeenAt: null,
      finishedAt: LONG_AGO,
      job: 'run-4f1c',
    },
  ],
  approval: {
    state: 'approved',
    digest: 'b'.repeat(64),
    quorum: 1,
    requestedAt: LONG_AGO,
    expiresAt: LONG_AGO,
    decidedAt: LONG_AGO,
    consumedAt: LONG_AGO,
    decisions: [
      {
        actor: { id: '43', login: 'paul' },
        decision: 'approve',
        reason: null,
        source: 'comment',
        refusal: null,
        decidedAt: LONG_AGO,
      },
    ],
  },
  events: [
    {
      id: EVENT,
      seq: 9,
      type: 'dev.codex-k8s.run.lost.v1',
      subject: `runs/${RUN}`,
      producer: 'stage-dispatcher',
      project: PROJECT,
      createdAt: LONG_AGO,
      sent: true,
      deliveries: { done: 2, pending: 0, quarantined: 1 },
    },
  ],
  links: [],
}

/** A connected project whose hook is there. */
export const project: Answer<'getProject'> = {
  id: PROJECT,
  provider: 'github',
  instance: 'https://api.github.com',
  repository: 'maria/invoice-1',
  repositoryId: '1001',
  state: 'connected',
  maxActive: 2,
  runNamespace: null,
  createdAt: LONG_AGO,
  hook: {
    id: 'c'.repeat(32),
    path: `/hooks/github/${'c'.repeat(32)}`,
    secretName: `hook-${'c'.repeat(32)}`,
    state: 'connected',
    problem: null,
    lastDeliveryAt: LONG_AGO,
  },
}
