import { mkdirSync, writeFileSync } from 'node:fs'
import { join, relative } from 'node:path'
import type { Resource } from './kubectl.ts'
import { render } from './platform.ts'

const root = join(import.meta.dirname, '..', '..')

/** A kustomization over folders of the repository, as paths from its root. */
export interface Kustomization {
  readonly namespace: string
  readonly resources: readonly string[]
  readonly components?: readonly string[]
  readonly patches?: readonly object[]
  readonly [more: string]: unknown
}

/** What the kustomization comes to; it is written into the folder, which is made. */
export function kustomized(folder: string, kustomization: Kustomization): Promise<Resource[]> {
  const { resources, components = [], ...more } = kustomization
  mkdirSync(folder, { recursive: true })
  const at = (path: string) => relative(folder, join(root, path))
  const whole = { kind: 'Kustomization', resources: resources.map(at), components: components.map(at), ...more }
  writeFileSync(join(folder, 'kustomization.yaml'), JSON.stringify(whole))
  return render(folder)
}
