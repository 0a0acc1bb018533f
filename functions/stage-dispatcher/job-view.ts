import type { V1ContainerStatus, V1Job, V1Pod } from '@kubernetes/client-node'
import { RUN_UID } from './job-spec.ts'
import type { Cause, JobView } from './launcher.ts'
import { SILENT } from './liveness.ts'

/** What the kubelet says when it could not get the image so far, and goes on trying. */
const PULLING = new Set(['ErrImagePull', 'ImagePullBackOff', 'RegistryUnavailable'])

/** What it says when this image, or this container, will not start however often it is tried. */
const UNUSABLE = new Set([
  'InvalidImageName',
  'ErrImageNeverPull',
  'ImageInspectError',
  'SignatureValidationFailed',
  'CreateContainerConfigError',
  'CreateContainerError',
  'RunContainerError',
])

/** What it says of a container whose command the image cannot start: another processor, another C library, no such file. */
const NOT_STARTED = new Set(['StartError', 'ContainerCannotRun'])

type Why = { readonly cause?: Cause; readonly end: string }

/**
 * A Job and its pods as one view. All words are ours: messages of the cluster and of the agent are not repeated, because
 * they end up in a comment that anybody reads. The Job's own word about its deadline comes first; then what happened to the
 * pod, then to its containers.
 */
export function jobView(job: V1Job, pods: readonly V1Pod[]): JobView {
  const own = { uid: job.metadata?.uid ?? '', run: job.metadata?.annotations?.[RUN_UID] ?? '' }
  const over = condition(job, 'Failed') ?? condition(job, 'FailureTarget')
  const pod = pods.toSorted((a, b) => created(b) - created(a))[0]
  if (over?.reason === 'DeadlineExceeded')
    return { ...own, state: 'ended', cause: 'deadline', end: 'it took longer than it may' }
  const ended = endOf(pod)
  if (ended !== undefined) return { ...own, state: 'ended', ...ended }
  if (over?.reason === 'PodFailurePolicy') return { ...own, state: 'ended', ...evicted }
  if (over !== undefined) return { ...own, state: 'ended', end: 'its pod is gone' }
  if (condition(job, 'Complete') !== undefined || condition(job, 'SuccessCriteriaMet') !== undefined)
    return { ...own, state: 'ended', end: 'it ended with status 0' }
  if (pod?.status?.containerStatuses?.some(({ state }) => state?.running)) return { ...own, state: 'running' }
  return { ...own, state: 'waiting', ...waitOf(pod) }
}

const evicted: Why = { cause: 'evicted', end: 'the cluster took its place away' }

/** How the pod ended, or that it is certain to; undefined while it lives. */
function endOf(pod: V1Pod | undefined): Why | undefined {
  if (pod?.status === undefined) return undefined
  const { status } = pod
  const containers = [...(status.initContainerStatuses ?? []), ...(status.containerStatuses ?? [])]
  const disrupted = status.conditions?.find(({ type, status: is }) => type === 'DisruptionTarget' && is === 'True')
  // On a machine that does not answer any more the pod stays as it was; that it is to go is all that will be heard of it.
  const leaving = pod.metadata?.deletionTimestamp !== undefined
  if (disrupted !== undefined && (leaving || status.phase === 'Failed')) return { ...evicted, end: lossOf(disrupted) }
  if (status.phase !== 'Failed') return undefined
  if (status.reason === 'DeadlineExceeded') return { cause: 'deadline', end: 'it took longer than it may' }
  // Without the condition it was not the machine that was short of something, it was the agent that used too much.
  if (status.reason === 'Evicted') return { cause: 'storage', end: 'it used more disk than it may' }
  if (status.reason === 'UnexpectedAdmissionError' || status.reason?.startsWith('OutOf'))
    return { cause: 'evicted', end: 'its machine had no room when it came' }
  return firstOf(containers, diedOf) ?? { end: 'its pod failed' }
}

const losses: Readonly<Record<string, string>> = {
  PreemptionByScheduler: 'something more important took its place',
  DeletionByTaintManager: 'its machine does not answer, or takes no work any more',
  EvictionByEvictionAPI: 'its machine was cleared',
  DeletionByPodGC: 'its machine is gone',
  TerminationByKubelet: 'its machine ran short or was shut down',
}

function lossOf({ reason }: { reason?: string }): string {
  return losses[reason ?? ''] ?? evicted.end
}

function diedOf({ name, state }: V1ContainerStatus): Why | undefined {
  const died = state?.terminated
  if (died === undefined || died.exitCode === 0) return undefined
  if (died.message?.trim() === SILENT) return { cause: 'silence', end: 'it gave no sign of life' }
  if (died.reason === 'OOMKilled') return { cause: 'memory', end: 'it used more memory than it may' }
  if (NOT_STARTED.has(died.reason ?? '')) return { cause: 'image_unusable', end: 'its image cannot start the runner' }
  const what = name === 'install' ? 'its preparation' : 'it'
  return {
    end: died.signal ? `${what} was killed by signal ${died.signal}` : `${what} ended with status ${died.exitCode}`,
  }
}

/** What a pod that does not run yet waits for. */
function waitOf(pod: V1Pod | undefined): Why {
  if (pod?.status === undefined)
    return { cause: 'not_admitted', end: 'the cluster has made no pod of it; a quota or a policy may be in the way' }
  const { status } = pod
  const place = status.conditions?.find(({ type }) => type === 'PodScheduled')
  if (place?.status === 'False') return { cause: 'no_room', end: 'no machine of the cluster has room for it' }
  const containers = [...(status.initContainerStatuses ?? []), ...(status.containerStatuses ?? [])]
  return firstOf(containers, stuckOn) ?? { end: 'it is being prepared' }
}

function stuckOn({ name, state }: V1ContainerStatus): Why | undefined {
  const reason = state?.waiting?.reason ?? ''
  const image = name === 'install' ? "the installation's own image" : 'its image'
  if (PULLING.has(reason)) return { cause: 'image', end: `${image} cannot be had (${reason})` }
  if (UNUSABLE.has(reason)) return { cause: 'image_unusable', end: `${image} cannot be used (${reason})` }
  return undefined
}

function firstOf<T, R>(all: readonly T[], look: (one: T) => R | undefined): R | undefined {
  for (const one of all) {
    const found = look(one)
    if (found !== undefined) return found
  }
  return undefined
}

function condition(job: V1Job, type: string) {
  return job.status?.conditions?.find((one) => one.type === type && one.status === 'True')
}

function created({ metadata }: V1Pod): number {
  return metadata?.creationTimestamp?.getTime() ?? 0
}
