import { randomUUID } from 'node:crypto'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { RetryLater } from '#shared/errors.ts'
import { RUN_UID } from './job-spec.ts'
import type { Fault } from './testing/api-server.ts'
import { jobOf, startCluster, type Cluster } from './testing/kubernetes.ts'

const created = ({ server }: Cluster, name: string) =>
  server.effects.filter((effect) => effect.kind === 'Job' && effect.verb === 'create' && effect.name === name)

/** Puts somebody else's Job under a name. */
function occupy({ server }: Cluster, name: string, annotations: Record<string, string> = {}): void {
  server.jobs.set(name, { metadata: { name, namespace: 'runs', uid: 'theirs', annotations } })
}

describe('creating a Job', () => {
  test('makes the Job, then its Secret, which belongs to it', async () => {
    const cluster = await startCluster()
    const job = jobOf(randomUUID())
    const made = await cluster.launcher.create(job)
    const [first, second] = cluster.server.effects
    expect(made).toEqual({ kind: 'created', uid: first?.uid, run: job.run })
    expect([first?.kind, second?.kind]).toEqual(['Job', 'Secret'])
    const secret = cluster.server.secrets.get(job.name)
    expect(secret?.metadata?.ownerReferences).toMatchObject([{ kind: 'Job', name: job.name, uid: first?.uid }])
    expect(secret?.stringData).toEqual({ token: `${job.tokens.run}\n${job.tokens.model}\n` })
    expect(JSON.stringify(cluster.server.jobs.get(job.name))).not.toContain('token of')
  })

  test('F9 a name that is taken by a Job of the same run is that Job', async () => {
    const cluster = await startCluster()
    const job = jobOf(randomUUID())
    const first = await cluster.launcher.create(job)
    expect(await cluster.another().create(job)).toEqual({ ...first, kind: 'exists' })
    expect(created(cluster, job.name)).toHaveLength(1)
  })

  test.for([
    ['of another run', { [RUN_UID]: 'another run' }],
    ['that says nothing of a run', {}],
  ] as const)(
    'F9 a name that is taken by a Job %s is not ours, and it gets no Secret of ours',
    async ([, annotations]) => {
      const cluster = await startCluster()
      const job = jobOf(randomUUID())
      occupy(cluster, job.name, annotations)
      const made = await cluster.launcher.create(job)
      expect(made).toEqual({ kind: 'exists', uid: 'theirs', run: annotations[RUN_UID as never] ?? '' })
      expect(await cluster.launcher.get(job)).toBeUndefined()
      await cluster.launcher.stop(job)
      expect(cluster.server.effects).toEqual([])
    },
  )

  test('F10 an answer that is lost after the Job was made is found again at once', async () => {
    const cluster = await startCluster()
    const job = jobOf(randomUUID())
    cluster.server.faults.push({ kind: 'reset', applied: true })
    expect(await cluster.launcher.create(job)).toMatchObject({ kind: 'exists', run: job.run })
    expect(created(cluster, job.name)).toHaveLength(1)
    expect(cluster.server.secrets.has(job.name)).toBe(true)
  })

  test('F10 a Job that is made after its creator gave up waiting is met by the next creation', async () => {
    const cluster = await startCluster()
    const job = jobOf(randomUUID())
    cluster.server.faults.push({ kind: 'late', ms: 400 })
    await expect(cluster.another(100).create(job)).rejects.toThrow(RetryLater)
    expect(await cluster.createAtLast(job)).toMatchObject({ run: job.run })
    expect(created(cluster, job.name)).toHaveLength(1)
  })

  test('a crash between Job and Secret is mended by the next creation', async () => {
    const cluster = await startCluster()
    const job = jobOf(randomUUID())
    cluster.server.faults.push({ kind: 'none' }, { kind: 'reset', applied: false })
    await expect(cluster.launcher.create(job)).rejects.toThrow(RetryLater)
    expect(cluster.server.secrets.has(job.name)).toBe(false)
    expect(await cluster.another().create(job)).toMatchObject({ kind: 'exists', run: job.run })
    expect(cluster.server.secrets.has(job.name)).toBe(true)
  })

  test.for([429, 503, 500])('F10 %i with Retry-After: nobody is asked again before that', async (status) => {
    const cluster = await startCluster()
    const job = jobOf(randomUUID())
    cluster.server.faults.push({ kind: 'status', status, retryAfter: 30 })
    await expect(cluster.launcher.create(job)).rejects.toMatchObject({ seconds: 30 })
    cluster.pass(29)
    await expect(cluster.launcher.create(job)).rejects.toMatchObject({ seconds: 1 })
    await expect(cluster.launcher.get(job)).rejects.toThrow(RetryLater)
    expect(cluster.server.requests).toHaveLength(1)
    cluster.pass(1)
    expect(await cluster.launcher.create(job)).toMatchObject({ kind: 'created' })
  })

  test('F11 a quota that is used up is asked about once in a minute, and the reason says so', async () => {
    const cluster = await startCluster()
    const job = jobOf(randomUUID())
    const message = `jobs.batch "${job.name}" is forbidden: exceeded quota: runs, requested: count/jobs.batch=1`
    const quota: Fault = { kind: 'status', status: 403, message }
    cluster.server.faults.push(quota, quota, quota)
    const held = { kind: 'held', detail: 'the quota of its run namespace is used up' }
    expect(await cluster.launcher.create(job)).toEqual({ ...held, seconds: 60 })
    for (let second = 1; second < 60; second += 1) {
      cluster.pass(1)
      expect(await cluster.launcher.create(job)).toEqual({ ...held, seconds: 60 - second })
    }
    expect(cluster.server.requests).toHaveLength(1)
    // Another namespace has a quota of its own.
    expect(await cluster.launcher.create({ ...jobOf(randomUUID()), namespace: 'elsewhere' })).toMatchObject(held)
    expect(cluster.server.requests).toHaveLength(2)
    expect(await cluster.createAtLast(job)).toMatchObject({ kind: 'created' })
    expect(cluster.waited()).toBeGreaterThanOrEqual(119)
  })

  test.for([400, 403, 404, 422])(
    'F11 %i is the end of it, in words that say nothing of the cluster',
    async (status) => {
      const cluster = await startCluster()
      const job = jobOf(randomUUID())
      cluster.server.faults.push({ kind: 'status', status, message: 'User "system:serviceaccount:x" cannot' })
      expect(await cluster.launcher.create(job)).toEqual({
        kind: 'refused',
        detail: `Job ${job.name} was refused by the cluster (${status})`,
      })
      expect(cluster.server.requests).toHaveLength(1)
    },
  )

  test('F11 a Job whose Secret is refused is taken back', async () => {
    const cluster = await startCluster()
    const job = jobOf(randomUUID())
    cluster.server.faults.push({ kind: 'none' }, { kind: 'status', status: 403 })
    expect(await cluster.launcher.create(job)).toMatchObject({ kind: 'refused' })
    expect(cluster.server.jobs.size).toBe(0)
  })

  test('F11 a quota that has no room for the Secret leaves the Job, and the next creation hands it over', async () => {
    const cluster = await startCluster()
    const job = jobOf(randomUUID())
    cluster.server.faults.push({ kind: 'none' }, { kind: 'status', status: 403, message: 'exceeded quota: runs' })
    expect(await cluster.launcher.create(job)).toMatchObject({ kind: 'held' })
    expect(await cluster.createAtLast(job)).toMatchObject({ kind: 'exists', run: job.run })
    expect(created(cluster, job.name)).toHaveLength(1)
    expect(cluster.server.secrets.has(job.name)).toBe(true)
  })

  test('401 is waited for: credentials are being changed', async () => {
    const cluster = await startCluster()
    cluster.server.faults.push({ kind: 'status', status: 401 })
    expect(await cluster.createAtLast(jobOf(randomUUID()))).toMatchObject({ kind: 'created' })
  })
})

const fault = fc.oneof(
  { weight: 2, arbitrary: fc.constant<Fault>({ kind: 'none' }) },
  fc.record({ kind: fc.constant('reset' as const), applied: fc.boolean() }),
  fc.record({ kind: fc.constant('cut' as const), applied: fc.boolean() }),
  fc.record(
    {
      kind: fc.constant('status' as const),
      status: fc.constantFrom(401, 408, 429, 500, 502, 503, 504),
      retryAfter: fc.integer({ min: 0, max: 20 }),
      applied: fc.boolean(),
    },
    { requiredKeys: ['kind', 'status'] },
  ),
)

test('F10 whatever goes wrong and however often: one Job for each name, with its Secret, and whoever asks finds it', async () => {
  const cluster = await startCluster()
  await fc.assert(
    fc.asyncProperty(fc.array(fault, { maxLength: 10 }), fc.boolean(), async (faults, together) => {
      const job = jobOf(randomUUID())
      cluster.server.faults.push(...faults)
      const creations = together
        ? [cluster.createAtLast(job, cluster.another()), cluster.createAtLast(job, cluster.another())]
        : [cluster.createAtLast(job, cluster.another())]
      const outcomes = await Promise.all(creations)
      cluster.server.faults.length = 0
      const [one, ...others] = created(cluster, job.name)
      expect(others).toEqual([])
      expect(outcomes.map((outcome) => outcome.kind !== 'refused' && outcome.uid)).toEqual(outcomes.map(() => one?.uid))
      expect(cluster.server.secrets.get(job.name)?.metadata?.ownerReferences?.[0]?.uid).toBe(one?.uid)
      const launcher = cluster.another()
      expect(await launcher.get(job)).toMatchObject({ uid: one?.uid, run: job.run })
      await launcher.stop(job)
      expect(await launcher.get(job)).toBeUndefined()
    }),
    { numRuns: 1_000 },
  )
}, 300_000)

describe('stopping a Job', () => {
  test('deletes it in the background, and only the one that was looked at', async () => {
    const cluster = await startCluster()
    const job = jobOf(randomUUID())
    await cluster.launcher.create(job)
    await cluster.launcher.stop(job)
    await cluster.launcher.stop(job)
    expect(cluster.server.effects.filter(({ verb }) => verb === 'delete')).toHaveLength(1)
    expect(cluster.server.secrets.size).toBe(0)
  })

  test('leaves one that has ended to whoever wants to look at it', async () => {
    const cluster = await startCluster()
    const job = jobOf(randomUUID())
    await cluster.launcher.create(job)
    cluster.server.report(job.name, {
      conditions: [{ type: 'Failed', status: 'True', reason: 'BackoffLimitExceeded' }],
    })
    await cluster.launcher.stop(job)
    expect(cluster.server.jobs.has(job.name)).toBe(true)
  })

  test('that may not be done is asked for again', async () => {
    const cluster = await startCluster()
    const job = jobOf(randomUUID())
    await cluster.launcher.create(job)
    cluster.server.faults.push({ kind: 'none' }, { kind: 'status', status: 403 })
    await expect(cluster.launcher.stop(job)).rejects.toThrow(RetryLater)
  })
})

test('an intent of a launcher without namespaces is not there, and waits', async () => {
  const { launcher, server } = await startCluster()
  const job = jobOf(randomUUID(), { namespace: null })
  await expect(launcher.create(job)).rejects.toThrow(RetryLater)
  expect(await launcher.get(job)).toBeUndefined()
  await launcher.stop(job)
  expect(server.requests).toEqual([])
})
