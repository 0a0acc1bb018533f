import { kubectl } from '../../cluster/kubectl.ts'

/** Merges a change into an object. Nothing secret: everybody on the machine can read a command line. */
export async function patch(what: string, namespace: string, change: object): Promise<void> {
  await kubectl(['patch', what, '--namespace', namespace, '--type', 'merge', '--patch', JSON.stringify(change)])
}
