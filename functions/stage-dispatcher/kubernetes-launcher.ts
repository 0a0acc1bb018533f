import { RetryLater } from '#shared/errors.ts'
import type { Log } from '#shared/log.ts'
import { jobSpec, RUN_UID, type Place } from './job-spec.ts'
import { jobView } from './job-view.ts'
import type { Answer, JobApi, Refusal } from './kubernetes-api.ts'
import type { Created, Held, Job, JobRef, Launcher } from './launcher.ts'
import { tokenSecret } from './token-secret.ts'

/** How long a namespace whose quota is used up is left alone, seconds. */
const QUOTA_SECONDS = 60

/** How long the API server is left alone that says it is busy and not for how long, seconds. */
const BUSY_SECONDS = 5

/** What the launcher for a cluster is made of. */
export interface KubernetesOptions {
  readonly place: Place
  /** The API server; asked for when the first Job is. */
  readonly api: () => Promise<JobApi>
  readonly log: Log
  /** A clock that only goes on, milliseconds. */
  readonly now?: () => number
}

/**
 * Jobs of a cluster. The Job comes first and its Secret, which belongs to it, after it: a crash in between leaves a pod
 * that waits for its tokens, and the next creation finds the Job by name and goes on. Nothing here repeats a request:
 * whoever asked asks again, and the name keeps it to one Job.
 */
export function kubernetesLauncher({ place, api, log, now = () => performance.now() }: KubernetesOptions): Launcher {
  let loaded: Promise<JobApi> | undefined
  const full = new Map<string, number>()
  let busyUntil = 0

  const secondsTo = (time: number) => Math.ceil((time - now()) / 1_000)

  const load = () =>
    (loaded ??= api().catch((error: unknown) => {
      loaded = undefined
      throw error
    }))
  const server = async (): Promise<JobApi> => {
    const seconds = secondsTo(busyUntil)
    if (seconds > 0) throw new RetryLater('the API server wants to be left alone', { seconds })
    return load()
  }

  /** The answer, or a RetryLater where asking again is all that can be done. */
  const certain = <T>(answer: Answer<T>, what: string): Exclude<Answer<T>, { kind: 'unknown' }> => {
    if (answer.kind === 'unknown') throw new RetryLater(`${what}: no answer (${answer.why})`)
    if (answer.kind === 'ok') return answer
    const { status, retryAfter, message } = answer
    if (status === 429 || retryAfter !== undefined) {
      const seconds = Math.max(1, retryAfter ?? BUSY_SECONDS)
      busyUntil = now() + seconds * 1_000
      throw new RetryLater(`${what}: the API server is busy (${status})`, { seconds })
    }
    if (status >= 500 || status === 401 || status === 408) throw new RetryLater(`${what}: ${status} ${message}`)
    return answer
  }

  /** A no to something that was to be made: a quota may have room again, the rest is a reason that anybody may read. */
  const refusal = (answer: Refusal, what: string, namespace: string): Created | Held => {
    if (isQuota(answer)) {
      full.set(namespace, now() + QUOTA_SECONDS * 1_000)
      return usedUp(QUOTA_SECONDS)
    }
    log.error({ status: answer.status, refusal: answer.message, namespace }, `${what} was refused`)
    return { kind: 'refused', detail: `${what} was refused by the cluster (${answer.status})` }
  }

  const find = async (from: JobApi, name: string, namespace: string) => {
    const answer = certain(await from.readJob(namespace, name), `Job ${name}`)
    if (answer.kind === 'ok') return answer.value
    if (answer.status === 404) return undefined
    throw new RetryLater(`Job ${name} may not be read: ${answer.status} ${answer.message}`, { seconds: QUOTA_SECONDS })
  }
  const findOurs = async (from: JobApi, { name, run }: JobRef, namespace: string) => {
    const job = await find(from, name, namespace)
    return job?.metadata?.annotations?.[RUN_UID] === run ? job : undefined
  }

  /** The Job that has the name, whoever's it is, and whether it was us just now. */
  const createJob = async (to: JobApi, job: Job, namespace: string): Promise<Created | Held> => {
    const what = `Job ${job.name}`
    const made = await to.createJob(namespace, jobSpec(job, namespace, place))
    if (made.kind === 'ok') return { kind: 'created', uid: made.value.metadata?.uid ?? '', run: job.run }
    const lookAtOnce = made.kind === 'unknown' || (made.status >= 500 && made.retryAfter === undefined)
    if (!lookAtOnce) {
      const answer = certain(made, what)
      if (answer.kind === 'refused' && answer.status !== 409) return refusal(answer, what, namespace)
    }
    const found = await find(to, job.name, namespace)
    if (found === undefined) throw new RetryLater(`${what}: it is not known whether it was created`)
    return {
      kind: 'exists',
      uid: found.metadata?.uid ?? '',
      run: found.metadata?.annotations?.[RUN_UID] ?? '',
    }
  }

  return {
    warm: load,

    async create(job) {
      const { namespace } = job
      if (namespace === null) throw new RetryLater(`Job ${job.name} was intended for a launcher that is not in use now`)
      const fullFor = secondsTo(full.get(namespace) ?? 0)
      if (fullFor > 0) return usedUp(fullFor)
      const to = await server()
      const created = await createJob(to, job, namespace)
      if (created.kind === 'refused' || created.kind === 'held' || created.run !== job.run) return created
      const secret = certain(
        await to.createSecret(namespace, tokenSecret(job, namespace, created.uid)),
        `Secret ${job.name}`,
      )
      if (secret.kind === 'ok' || secret.status === 409) return created
      const refused = refusal(secret, `Secret ${job.name}`, namespace)
      // Its pod would wait for ever; with a quota that has room again, the next creation hands it over.
      if (refused.kind === 'refused') certain(await to.deleteJob(namespace, job.name, created.uid), `Job ${job.name}`)
      return refused
    },

    async get(ref) {
      const { namespace } = ref
      if (namespace === null) return undefined
      const from = await server()
      const job = await findOurs(from, ref, namespace)
      if (job === undefined) return undefined
      const pods = certain(await from.podsOf(namespace, ref.name), `pods of ${ref.name}`)
      if (pods.kind === 'refused')
        throw new RetryLater(`pods of ${ref.name} may not be read: ${pods.status} ${pods.message}`)
      return jobView(job, pods.value)
    },

    async stop(ref) {
      const { namespace } = ref
      if (namespace === null) return
      const from = await server()
      const job = await findOurs(from, ref, namespace)
      // What has ended stays for a day, for whoever wants to look at it.
      if (job === undefined || jobView(job, []).state === 'ended') return
      const gone = certain(await from.deleteJob(namespace, ref.name, job.metadata?.uid ?? ''), `Job ${ref.name}`)
      // 404 and 409: it went by itself, or another has its name now.
      if (gone.kind === 'refused' && gone.status !== 404 && gone.status !== 409)
        throw new RetryLater(`Job ${ref.name} may not be deleted: ${gone.status} ${gone.message}`)
    },
  }
}

function usedUp(seconds: number): Held {
  return { kind: 'held', detail: 'the quota of its run namespace is used up', seconds }
}

/** The API server has no code of its own for it. */
function isQuota({ status, message }: Refusal): boolean {
  return status === 403 && /\bexceeded quota\b/.test(message)
}
