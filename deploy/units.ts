import { existsSync, readdirSync } from 'node:fs'
import { join, resolve } from 'node:path'

const root = resolve(import.meta.dirname, '..')

/** A unit of deployment: a function, what runs in the agent's pod, or a Job. */
export interface Unit {
  readonly name: string
  readonly entry: string
}

/** The names of the functions: one folder, one Knative Service, one bundle. */
export function functionNames(folder: string = root): string[] {
  const functions = join(folder, 'functions')
  if (!existsSync(functions)) return []
  return readdirSync(functions, { withFileTypes: true })
    .filter((entry) => entry.isDirectory())
    .map(({ name }) => name)
    .toSorted()
}

/** All that gets a bundle. */
export function units(folder: string = root): Unit[] {
  const others = [
    // The runner, and what copies it with Node and the CLI into the run's own image.
    { name: 'agent', entry: join(folder, 'agent', 'main.ts') },
    { name: 'install', entry: join(folder, 'agent', 'install.ts') },
    { name: 'migrate', entry: join(folder, 'deploy', 'migrate.ts') },
    { name: 'run-door', entry: join(folder, 'deploy', 'run-door.ts') },
    { name: 'setup', entry: join(folder, 'deploy', 'setup', 'main.ts') },
  ]
  return [
    ...functionNames(folder).map((name) => ({ name, entry: join(folder, 'functions', name, 'main.ts') })),
    ...others.filter(({ entry }) => existsSync(entry)),
  ]
}
