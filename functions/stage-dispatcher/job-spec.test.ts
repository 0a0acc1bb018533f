import { spawnSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync, utimesSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { randomUUID } from 'node:crypto'
import fc from 'fast-check'
import { describe, expect, onTestFinished, test } from 'vitest'
import { jobName } from './job-name.ts'
import { jobSpec } from './job-spec.ts'
import type { Job } from './launcher.ts'
import { LIVENESS, SILENT } from './liveness.ts'
import { jobOf, place } from './testing/kubernetes.ts'
import { tokenSecret } from './token-secret.ts'
import { mutations, VARIABLES, wrongWith } from './testing/restricted.ts'

/** Runs of any kind, in an image of the project's or in ours: their ids are ours, images an administrator's. */
const kinds = {
  run: fc.uuid(),
  attempt: fc.integer({ min: 1, max: 99 }),
  image: fc.constantFrom('registry.example/shop:1', place.agentImage, 'codex-k8s/agent'),
}
const jobs = fc.record(kinds).map(({ run, attempt, image }): Job => ({
  ...jobOf(run, { image }),
  name: jobName(run, attempt),
  attempt,
}))

/** Every text in it, with where it stands. */
function texts(value: unknown, path = ''): (readonly [string, string])[] {
  if (typeof value === 'string') return [[path, value]]
  if (typeof value !== 'object' || value === null) return []
  return Object.entries(value).flatMap(([key, each]) => [[`${path}/#`, key] as const, ...texts(each, `${path}/${key}`)])
}

const hostile = [
  'x"\n---\nkind: Pod\nmetadata:\n  name: y',
  '{{ .Values.secret }}',
  '${REPO_TOKEN}',
  '$(REPO_TOKEN)',
  '; rm -rf /',
  '`id`',
  '-rf',
]

describe('the Job of an attempt', () => {
  test.for(hostile)('T1 T2 T3 an image that is called %j stands there as it is, and nothing else changes', (image) => {
    const plain = jobSpec(jobOf('a'.repeat(36)), 'runs', place)
    const other = jobSpec({ ...jobOf('a'.repeat(36)), image }, 'runs', place)
    const differences = texts(other).filter(([path, text], index) => {
      const [samePath, sameText] = texts(plain)[index] ?? []
      return path !== samePath || text !== sameText
    })
    expect(differences).toEqual([['/spec/template/spec/containers/0/image', image]])
  })

  test('T2 what Kubernetes would expand is written so that it does not', () => {
    const spec = jobSpec(jobOf(randomUUID()), 'runs', { ...place, runGatewayUrl: 'http://gateway/$(HOME)$$(X)' })
    const env = spec.spec?.template.spec?.containers[0]?.env
    expect(env?.find(({ name }) => name === 'RUN_GATEWAY_URL')?.value).toBe('http://gateway/$$(HOME)$$$$(X)')
  })

  test('T3 commands are lists of ours, the same for every run, and no shell', () => {
    fc.assert(
      fc.property(jobs, (job) => {
        const pod = jobSpec(job, 'runs', place).spec?.template.spec
        const all = [...(pod?.initContainers ?? []), ...(pod?.containers ?? [])]
        const words = all.flatMap(({ command, args, livenessProbe }) => [
          ...(command ?? []),
          ...(args ?? []),
          ...(livenessProbe?.exec?.command ?? []),
        ])
        expect(words.join(' ')).not.toContain(job.run)
        expect(words.filter((word) => /(^|\/)(sh|bash)$/.test(word))).toEqual([])
      }),
    )
  })

  test('T4 T5 labels are constants, annotations are values that Kubernetes takes, whatever the run', () => {
    const seen = new Set<string>()
    fc.assert(
      fc.property(jobs, (job) => {
        const { metadata, spec } = jobSpec(job, 'runs', place)
        seen.add(JSON.stringify([metadata?.labels, spec?.template.metadata?.labels]))
        for (const [key, value] of Object.entries(metadata?.labels ?? {})) {
          expect(key).toMatch(/^[a-z0-9.-]+\/[a-z-]+$/)
          expect(value).toMatch(/^[A-Za-z0-9]([A-Za-z0-9._-]{0,61}[A-Za-z0-9])?$/)
        }
        expect(metadata?.annotations).toEqual({
          'codex-k8s.dev/run-uid': job.run,
          'codex-k8s.dev/attempt': `${job.attempt}`,
        })
      }),
    )
    expect(seen.size).toBe(1)
  })

  test('T6 its name leaves room for what Kubernetes adds to it for the pod', () => {
    fc.assert(
      fc.property(jobs, ({ name }) => {
        expect(`${name}-abcde`.length).toBeLessThan(63)
      }),
    )
  })

  test('T7 its variables are these, whatever anybody sets', () => {
    const hostileJob = {
      ...jobOf(randomUUID()),
      env: { NODE_OPTIONS: '--require /x' },
      NODE_OPTIONS: '--inspect',
    } as Job
    const pod = jobSpec(hostileJob, 'runs', place).spec?.template.spec
    expect(pod?.containers[0]?.env?.map(({ name }) => name).toSorted()).toEqual(VARIABLES)
    expect(pod?.containers[0]?.env?.find(({ name }) => name === 'NODE_OPTIONS')?.value).toBe('')
    expect(pod?.initContainers?.[0]?.env).toBeUndefined()
  })

  test('J7 is for the restricted profile, with limits for everything and no Secret beside the agent', () => {
    fc.assert(
      fc.property(jobs, (job) => {
        expect(wrongWith(jobSpec(job, 'runs', place), { images: [job.image, place.agentImage] })).toEqual([])
      }),
    )
  })

  test.for(mutations)('J7 with %s it would be noticed', ([, , mutate]) => {
    const job = jobOf(randomUUID())
    const spec = structuredClone(jobSpec(job, 'runs', place))
    mutate(spec)
    expect(wrongWith(spec, { images: [job.image, place.agentImage] })).not.toEqual([])
  })

  test('J1 holds no token; its Secret does, and goes with it', () => {
    const job = jobOf(randomUUID())
    expect(JSON.stringify(jobSpec(job, 'runs', place))).not.toMatch(/token of/)
    expect(tokenSecret(job, 'runs', 'uid 1')).toMatchObject({
      metadata: { name: job.name, ownerReferences: [{ kind: 'Job', uid: 'uid 1' }] },
      stringData: { token: `${job.tokens.run}\n${job.tokens.model}\n` },
    })
  })

  test("what the stage says of resources goes before the installation's, and its own image stands for itself", () => {
    const job = jobOf(randomUUID(), { image: 'codex-k8s/agent', resources: { memory: '9Gi' } })
    const agent = jobSpec(job, 'runs', place).spec?.template.spec?.containers[0]
    expect(agent?.image).toBe(place.agentImage)
    expect(agent?.resources?.limits).toEqual({ cpu: '2', memory: '9Gi', 'ephemeral-storage': '8Gi' })
  })

  test.for(['codex-k8s/agent', place.agentImage])('in our own image %s nothing is copied but the tokens', (image) => {
    const run = randomUUID()
    const own = jobSpec(jobOf(run, { image }), 'runs', place)
    const other = jobSpec(jobOf(run), 'runs', place)
    const pod = own.spec?.template.spec
    expect(pod?.initContainers?.[0]?.command).toEqual([
      'node',
      '/opt/codex-k8s/install.js',
      '--only-loader',
      '/var/run/codex-k8s/private',
      '/var/run/codex-k8s/secret/token',
      '/var/run/codex-k8s/private/token',
    ])
    expect(pod?.containers[0]?.command).toEqual([
      '/var/run/codex-k8s/private/lib/loader',
      '/var/run/codex-k8s/private/bin/node',
      '/opt/codex-k8s/runner/main.js',
    ])
    // Otherwise it is the same Job.
    const changed = [/command/, /\/volumeMounts\//, /\/volumes\//, /\/image$/]
    const rest = (spec: typeof own) => texts(spec).filter(([path]) => !changed.some((one) => one.test(path)))
    expect(rest(own)).toEqual(rest(other))
    const mounts = (spec: typeof own) => spec.spec?.template.spec?.containers[0]?.volumeMounts?.map(({ name }) => name)
    expect(mounts(own)).toEqual(mounts(other)?.filter((name) => name !== 'tools'))
  })

  test('has at least a second, and what is left of its time', () => {
    expect(jobSpec(jobOf('r', { seconds: -3 }), 'runs', place).spec?.activeDeadlineSeconds).toBe(1)
    expect(jobSpec(jobOf('r', { seconds: 77 }), 'runs', place).spec?.activeDeadlineSeconds).toBe(77)
  })
})

describe('its sign of life', () => {
  const look = (age: number | undefined) => {
    const folder = mkdtempSync(join(tmpdir(), 'liveness-'))
    onTestFinished(() => rmSync(folder, { recursive: true }))
    const [heartbeat, log] = [join(folder, 'heartbeat'), join(folder, 'log')]
    writeFileSync(log, 'what was there')
    if (age !== undefined) {
      writeFileSync(heartbeat, '')
      const then = Date.now() / 1_000 - age
      utimesSync(heartbeat, then, then)
    }
    const { status } = spawnSync(process.execPath, ['-e', LIVENESS, heartbeat, '60', log])
    return { status, log: readFileSync(log, 'utf8') }
  }

  test.for([
    ['fresh', 5, { status: 0, log: '' }],
    ['too old', 65, { status: 1, log: SILENT }],
    ['not there', undefined, { status: 1, log: 'what was there' }],
  ] as const)('%s', ([, age, seen]) => {
    expect(look(age)).toEqual(seen)
  })
})
