import type { V1ContainerState, V1Job, V1Pod } from '@kubernetes/client-node'

/** A condition of a Job. */
export function jobStatus(type: string, reason: string): NonNullable<V1Job['status']> {
  return { conditions: [{ type, status: 'True', reason }] }
}

/** A pod of a Job, as the kubelet and the controllers report it. */
export function podOf(
  phase: string,
  more: {
    agent?: V1ContainerState
    install?: V1ContainerState
    conditions?: readonly [string, string, string][]
    reason?: string
    leaving?: boolean
  } = {},
): V1Pod {
  const { agent, install, conditions = [], reason, leaving = false } = more
  const container = (name: string, state: V1ContainerState) => ({
    name,
    state,
    image: '',
    imageID: '',
    ready: false,
    restartCount: 0,
  })
  return {
    metadata: { name: 'pod', ...(leaving && { deletionTimestamp: new Date() }) },
    status: {
      phase,
      ...(reason !== undefined && { reason }),
      conditions: conditions.map(([type, status, why]) => ({ type, status, reason: why })),
      ...(agent && { containerStatuses: [container('agent', agent)] }),
      ...(install && { initContainerStatuses: [container('install', install)] }),
    },
  }
}

/** A container that has ended. */
export function died(exitCode: number, reason: string, message?: string): V1ContainerState {
  return { terminated: { exitCode, reason, ...(message !== undefined && { message }) } }
}

/** A container that does not start. */
export function waits(reason: string): V1ContainerState {
  return { waiting: { reason } }
}
