import { readFile, readdir } from 'node:fs/promises'
import { join } from 'node:path'
import type { Keys } from './signature.ts'

/** Reads secrets by name, at each use: a mounted Secret changes under a running pod. */
export interface Secrets {
  /** `undefined` stands for a hook that does not exist and costs the same. A missing file is no key; an empty one matches nothing. */
  keys(hook: { readonly secretName: string; readonly previousSecretName: string | null } | undefined): Promise<Keys>
}

/** The secrets of a directory, one file per name, the whole file being the secret. */
export function createSecrets(directory: string): Secrets {
  // Some file that exists, read where there is nothing to read, so that time does not tell which hooks there are.
  const decoy = readdir(directory, { withFileTypes: true })
    .then((entries) => entries.find((entry) => !entry.isDirectory() && !entry.name.startsWith('.'))?.name ?? '')
    .catch(() => '')
  const read = async (name: string | null | undefined): Promise<Buffer | undefined> => {
    const file = join(directory, name ?? (await decoy))
    const bytes = await readFile(file).catch(() => undefined)
    return name == null ? undefined : bytes
  }
  return {
    async keys(hook) {
      const [current, previous] = await Promise.all([read(hook?.secretName), read(hook?.previousSecretName)])
      return { current, previous }
    },
  }
}
