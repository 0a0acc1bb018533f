import { CoreV1Api, PatchStrategy, setHeaderOptions, type KubeConfig } from '@kubernetes/client-node'
import { randomBytes } from 'node:crypto'
import { askCluster, isStatus } from './ask-cluster.ts'

/** The Secret whose keys are the secrets of the hooks; webhook-gateway and staff-api have it mounted. */
const SECRET = 'codex-k8s-hooks'

/**
 * Gives a hook its secret, fresh and random, unless it has one: with the rights of the person, without reading any secret and
 * without anybody but the cluster seeing this one.
 */
export async function writeHookSecret(config: KubeConfig, namespace: string, key: string): Promise<void> {
  const value = Buffer.from(randomBytes(32).toString('hex')).toString('base64')
  // A Secret without a key has no `data`, and keeps no empty one. Both patches test first, so that what is there stays.
  await patch(config, namespace, [ifAbsent('/data'), { op: 'add', path: '/data', value: { [key]: value } }])
  await patch(config, namespace, [ifAbsent(at(key)), { op: 'add', path: at(key), value }])
}

/** Takes a hook's secret away. False if that may not be done; the key is of no use any more. */
export async function removeHookSecret(config: KubeConfig, namespace: string, key: string): Promise<boolean> {
  try {
    await patch(config, namespace, [{ op: 'remove', path: at(key) }])
    return true
  } catch (error) {
    if (isStatus(error, 404)) return true
    if (isStatus(error, 403)) return false
    throw error
  }
}

const ifAbsent = (path: string) => ({ op: 'test', path, value: null })
const at = (key: string) => `/data/${key.replaceAll('~', '~0').replaceAll('/', '~1')}`

/** Patches the Secret if its tests hold. The answer is asked for without what is in it. */
async function patch(config: KubeConfig, namespace: string, body: readonly object[]): Promise<void> {
  const headers = setHeaderOptions(
    'Accept',
    'application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1',
    setHeaderOptions('Content-Type', PatchStrategy.JsonPatch),
  )
  try {
    await askCluster(`the right to write the Secret ${namespace}/${SECRET}`, () =>
      config
        .makeApiClient(CoreV1Api)
        .patchNamespacedSecret({ name: SECRET, namespace, body, fieldManager: 'kn-codex' }, headers),
    )
  } catch (error) {
    // A test that does not hold, or nothing to remove.
    if (!isStatus(error, 422)) throw error
  }
}
