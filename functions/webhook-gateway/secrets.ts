import { createSecretKey, type KeyObject } from 'node:crypto'
import { readFileSync, statSync } from 'node:fs'
import { readdir } from 'node:fs/promises'
import { join } from 'node:path'
import type { Keys } from './signature.ts'

/** Looks for secrets by name, at each use: a mounted Secret changes under a running pod. */
export interface Secrets {
  /** `undefined` stands for a hook that does not exist and costs the same. A missing file is no key; an empty one matches nothing. */
  keys(hook: { readonly secretName: string; readonly previousSecretName: string | null } | undefined): Promise<Keys>
}

/** A secret as it was read, and the file it was read from. */
interface Read {
  readonly version: string
  readonly key: KeyObject
}

/**
 * The secrets of a directory, one file per name, the whole file being the secret. Each use looks whether the file is
 * still the one that was read; opening and reading it each time was a quarter of what a delivery costs.
 */
export function createSecrets(directory: string): Secrets {
  // Some file that exists, read where there is nothing to read, so that time does not tell which hooks there are.
  const decoy = readdir(directory, { withFileTypes: true })
    .then((entries) => entries.find((entry) => !entry.isDirectory() && !entry.name.startsWith('.'))?.name ?? '')
    .catch(() => '')
  const known = new Map<string, Read>()
  const current = (file: string): KeyObject | undefined => {
    try {
      const { dev, ino, size, mtimeNs, ctimeNs } = statSync(file, { bigint: true })
      const version = [dev, ino, size, mtimeNs, ctimeNs].join(' ')
      const before = known.get(file)
      if (before?.version === version) return before.key
      // Made a key once: from bytes it would be made one for each delivery.
      const key = createSecretKey(readFileSync(file))
      known.set(file, { version, key })
      return key
    } catch {
      known.delete(file)
      return undefined
    }
  }
  const read = async (name: string | null | undefined): Promise<KeyObject | undefined> => {
    const key = current(join(directory, name ?? (await decoy)))
    return name == null ? undefined : key
  }
  return {
    async keys(hook) {
      const [now, previous] = await Promise.all([read(hook?.secretName), read(hook?.previousSecretName)])
      return { current: now, previous }
    },
  }
}
