import type { V1Job, V1Pod } from '@kubernetes/client-node'
import { describe, expect, test } from 'vitest'
import { RUN_UID } from './job-spec.ts'
import { jobView } from './job-view.ts'
import type { JobView } from './launcher.ts'
import { SILENT } from './liveness.ts'
import { died, jobStatus, podOf, waits } from './testing/statuses.ts'

const failed = jobStatus('Failed', 'BackoffLimitExceeded')
const at = (status: V1Job['status'], pods: V1Pod[]) =>
  jobView({ metadata: { uid: 'u', annotations: { [RUN_UID]: 'r' } }, ...(status !== undefined && { status }) }, pods)

type Case = [name: string, status: V1Job['status'], pods: V1Pod[], view: Partial<JobView>]

describe('a Job that', () => {
  test.for<Case>([
    ['is at work', {}, [podOf('Running', { agent: { running: {} } })], { state: 'running' }],
    ['is being prepared', {}, [podOf('Pending', { agent: waits('PodInitializing') })], { state: 'waiting' }],
    ['F21 took too long', jobStatus('Failed', 'DeadlineExceeded'), [], { state: 'ended', cause: 'deadline' }],
    [
      'F21 took too long and still has its pod',
      jobStatus('FailureTarget', 'DeadlineExceeded'),
      [podOf('Running', { agent: { running: {} } })],
      { state: 'ended', cause: 'deadline' },
    ],
    [
      'F21 used too much memory',
      failed,
      [podOf('Failed', { agent: died(137, 'OOMKilled') })],
      { state: 'ended', cause: 'memory' },
    ],
    [
      'F21 used too much memory, which its Job does not know yet',
      {},
      [podOf('Failed', { agent: died(137, 'OOMKilled') })],
      { state: 'ended', cause: 'memory' },
    ],
    [
      'J9 used too much disk',
      failed,
      [podOf('Failed', { reason: 'Evicted', agent: died(137, 'Error') })],
      { state: 'ended', cause: 'storage' },
    ],
    [
      'gave no sign of life',
      failed,
      [podOf('Failed', { agent: died(137, 'Error', SILENT) })],
      { state: 'ended', cause: 'silence' },
    ],
    [
      'F19 was evicted',
      jobStatus('Failed', 'PodFailurePolicy'),
      [
        podOf('Failed', {
          conditions: [['DisruptionTarget', 'True', 'EvictionByEvictionAPI']],
          agent: died(137, 'Error'),
        }),
      ],
      { state: 'ended', cause: 'evicted', end: 'its machine was cleared' },
    ],
    [
      'F19 was evicted, and its pod is gone',
      jobStatus('Failed', 'PodFailurePolicy'),
      [],
      { state: 'ended', cause: 'evicted' },
    ],
    [
      'F19 was evicted for something more important just when it used too much memory',
      {},
      [
        podOf('Failed', {
          conditions: [['DisruptionTarget', 'True', 'PreemptionByScheduler']],
          agent: died(137, 'OOMKilled'),
        }),
      ],
      { state: 'ended', cause: 'evicted' },
    ],
    [
      'F20 is on a machine that does not answer any more',
      {},
      [
        podOf('Running', {
          leaving: true,
          conditions: [['DisruptionTarget', 'True', 'DeletionByTaintManager']],
          agent: { running: {} },
        }),
      ],
      { state: 'ended', cause: 'evicted', end: 'its machine does not answer, or takes no work any more' },
    ],
    [
      'F20 is on a machine that may still come back',
      {},
      [podOf('Running', { conditions: [['Ready', 'False', 'NodeStatusUnknown']], agent: { running: {} } })],
      { state: 'running' },
    ],
    [
      'F21 waits for its image',
      {},
      [podOf('Pending', { agent: waits('ImagePullBackOff') })],
      { state: 'waiting', cause: 'image' },
    ],
    [
      "F21 waits for the installation's image",
      {},
      [podOf('Pending', { install: waits('ErrImagePull'), agent: waits('PodInitializing') })],
      { state: 'waiting', cause: 'image', end: "the installation's own image cannot be had (ErrImagePull)" },
    ],
    [
      'F21 has an image whose name is none',
      {},
      [podOf('Pending', { agent: waits('InvalidImageName') })],
      { state: 'waiting', cause: 'image_unusable' },
    ],
    [
      'F21 has an image that cannot start the runner',
      failed,
      [podOf('Failed', { agent: died(128, 'StartError', 'exec /opt/codex-k8s/bin/node: no such file') })],
      { state: 'ended', cause: 'image_unusable', end: 'its image cannot start the runner' },
    ],
    [
      'F21 has no machine',
      {},
      [podOf('Pending', { conditions: [['PodScheduled', 'False', 'Unschedulable']] })],
      { state: 'waiting', cause: 'no_room' },
    ],
    [
      'F11 has no pod, because a quota or a policy is in the way',
      { active: 0 },
      [],
      { state: 'waiting', cause: 'not_admitted' },
    ],
    [
      'crashed',
      failed,
      [podOf('Failed', { agent: died(139, 'Error', 'Bearer canary') })],
      { state: 'ended', end: 'it ended with status 139' },
    ],
    [
      'could not be prepared',
      failed,
      [podOf('Failed', { install: died(1, 'Error'), agent: waits('PodInitializing') })],
      { state: 'ended', end: 'its preparation ended with status 1' },
    ],
    ['lost its pod to somebody', failed, [], { state: 'ended', end: 'its pod is gone' }],
    ['is done', jobStatus('Complete', 'CompletionsReached'), [], { state: 'ended' }],
  ])('%s', ([, status, pods, view]) => {
    const { cause, ...seen } = at(status, pods)
    expect({ ...seen, cause }).toMatchObject({ uid: 'u', run: 'r', cause: view.cause, ...view })
  })

  test('says nothing that the cluster or the agent said', () => {
    const said = at(failed, [podOf('Failed', { agent: died(1, 'Error', 'canary from the agent') })])
    expect(JSON.stringify(said)).not.toContain('canary')
  })
})
