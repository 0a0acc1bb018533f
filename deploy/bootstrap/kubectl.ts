import { spawn } from 'node:child_process'
import { text } from 'node:stream/consumers'

/** A Kubernetes object, as far as the installer looks into it. */
export interface Resource {
  readonly apiVersion: string
  readonly kind: string
  readonly metadata: {
    readonly name: string
    readonly namespace?: string
    readonly uid?: string
    readonly resourceVersion?: string
    readonly generation?: number
    readonly deletionTimestamp?: string
    readonly labels?: Readonly<Record<string, string>>
    readonly annotations?: Readonly<Record<string, string>>
    readonly managedFields?: unknown
  }
  readonly spec?: Readonly<Record<string, unknown>>
  readonly data?: Readonly<Record<string, string>>
  readonly status?: Status
}

/** What a controller says of an object. */
export interface Status {
  readonly observedGeneration?: number
  readonly url?: string
  readonly address?: { readonly url?: string }
  readonly conditions?: readonly { readonly type: string; readonly status: string; readonly message?: string }[]
  readonly replicas?: number
  readonly readyReplicas?: number
  readonly updatedReplicas?: number
}

/** Said by kubectl, or by what it asked. Never holds what was given to it on stdin. */
export class KubectlError extends Error {
  override readonly name = 'KubectlError'
}

/** kubectl against one cluster. What it is given on stdin is in no argument, file or log. */
export interface Kubectl {
  (args: readonly string[], input?: string): Promise<string>
}

/** Longest wait for one answer, milliseconds; removing a namespace takes minutes. */
const PATIENCE_MS = 330_000

/** The kubectl on PATH, or the one that KUBECTL names, and the words that choose the kubeconfig's context or another. */
export function commandFor(context?: string): { readonly command: string; readonly before: readonly string[] } {
  return { command: process.env['KUBECTL'] ?? 'kubectl', before: context === undefined ? [] : ['--context', context] }
}

/** That kubectl, to be asked. */
export function kubectlFor(context?: string): Kubectl {
  const { command, before } = commandFor(context)
  return async (args, input = '') => {
    // Not spawn's own timeout: its clock would keep us alive where there is no kubectl.
    const child = spawn(command, [...before, ...args], { stdio: 'pipe', signal: AbortSignal.timeout(PATIENCE_MS) })
    // A kubectl that ends before it has read its input says why on stderr.
    child.stdin.on('error', () => {})
    child.stdin.end(input)
    const code = new Promise<number | null>((resolve, reject) => child.once('error', reject).once('close', resolve))
    const [out, err] = await Promise.all([text(child.stdout), text(child.stderr), code]).catch((error: unknown) => {
      const { code: why } = error as { code?: string }
      const isMissing = why === 'ENOENT'
      throw new KubectlError(
        isMissing
          ? `${command} is not there: install kubectl, or set KUBECTL`
          : `kubectl ${args.slice(0, 3).join(' ')}: ${why === 'ABORT_ERR' ? 'gave up waiting' : String(error)}`,
      )
    })
    if ((await code) !== 0) throw new KubectlError(`kubectl ${args.slice(0, 3).join(' ')}: ${err.trim()}`)
    return out
  }
}

/** Objects that exist, of those that are asked for by apiVersion, kind, namespace and name. */
export async function getAll(kubectl: Kubectl, wanted: readonly Resource[]): Promise<Resource[]> {
  if (wanted.length === 0) return []
  const out = await kubectl(
    ['get', '--ignore-not-found', '--output', 'json', '--filename', '-'],
    toInput(wanted.map(only)),
  )
  return listOf(out)
}

/** All objects of these kinds in a namespace, by a selector. */
export async function list(
  kubectl: Kubectl,
  kinds: string,
  namespace: string,
  ...more: readonly string[]
): Promise<Resource[]> {
  return listOf(
    await kubectl(['get', kinds, '--namespace', namespace, '--output', 'json', '--ignore-not-found', ...more]),
  )
}

/** Applies server-side as the installer; the objects as they are then, in the same order. Dry: as they would be. */
export async function apply(
  kubectl: Kubectl,
  resources: readonly Resource[],
  { isDry = false, manager = FIELD_MANAGER } = {},
): Promise<Resource[]> {
  if (resources.length === 0) return []
  const args = ['apply', '--server-side', '--force-conflicts', '--validate=strict', '--field-manager', manager]
  const out = await kubectl(
    [...args, ...(isDry ? ['--dry-run=server'] : []), '--output', 'json', '--filename', '-'],
    toInput(resources),
  )
  return listOf(out)
}

/** Owner of the fields that the installer sets. */
export const FIELD_MANAGER = 'codex-k8s-bootstrap'

/** A name that tells objects apart. */
export function keyOf({ apiVersion, kind, metadata }: Pick<Resource, 'apiVersion' | 'kind' | 'metadata'>): string {
  const group = apiVersion.includes('/') ? `.${apiVersion.split('/')[0]}` : ''
  return `${kind.toLowerCase()}${group}/${metadata.namespace ?? ''}/${metadata.name}`
}

const only = ({ apiVersion, kind, metadata: { name, namespace } }: Resource) => ({
  apiVersion,
  kind,
  metadata: { name, ...(namespace !== undefined && { namespace }) },
})

/** JSON is YAML, and several of it are a stream of documents. */
function toInput(resources: readonly object[]): string {
  return resources.map((resource) => JSON.stringify(resource)).join('\n---\n')
}

/** kubectl prints one object as itself, several as a List, and some commands several one after the other. */
function listOf(out: string): Resource[] {
  if (out.trim() === '') return []
  return out
    .trim()
    .split(/(?<=^\})\n(?=\{)/m)
    .flatMap((part) => {
      const found = JSON.parse(part) as Resource & { items?: Resource[] }
      return found.items ?? [found]
    })
}
