import { randomUUID } from 'node:crypto'
import { eventually } from '../support/wait.ts'
import { kubectl, list, type Resource } from './kubectl.ts'

/** Images that a node lists: its largest ones, also those that have lost their names. */
const NAMED = 50

/** Whether the cluster's nodes have an image, so that nobody has to build and bring it. */
export async function isOnNodes(image: string): Promise<boolean> {
  const nodes = (await list('nodes')).map(({ status }) => status?.images ?? [])
  if (nodes.every((images) => images.some(({ names }) => names?.includes(image)))) return true
  return nodes.some((images) => images.length >= NAMED) && isFound(image)
}

/** Tries it: by a pod whose image is not fetched, and whose program is not there. */
async function isFound(image: string): Promise<boolean> {
  const name = `has-image-${randomUUID()}`
  const containers = [{ name: 'main', image, imagePullPolicy: 'Never', command: ['/none'] }]
  const spec = { restartPolicy: 'Never', automountServiceAccountToken: false, containers }
  const pod = { apiVersion: 'v1', kind: 'Pod', metadata: { name, namespace: 'default' }, spec }
  await kubectl(['create', '--filename', '-'], JSON.stringify(pod))
  const why = ({ status }: Resource) => {
    const { waiting, terminated } = status?.containerStatuses?.[0]?.state ?? {}
    const reason = (terminated ?? waiting)?.reason
    return reason === 'ContainerCreating' ? undefined : reason
  }
  try {
    const seen = async () => why(JSON.parse(await kubectl(['get', 'pod', name, '--output', 'json'])) as Resource)
    const reason = await eventually(seen, { what: `a pod of ${image}`, timeoutMs: 60_000, everyMs: 200 })
    return !['ErrImageNeverPull', 'InvalidImageName'].includes(reason)
  } finally {
    await kubectl(['delete', 'pod', name, '--namespace', 'default', '--grace-period', '0', '--force'])
  }
}
