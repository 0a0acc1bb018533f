import { inject } from 'vitest'
import { rememberHook } from '#shared/project/connect.ts'
import type { Fault, FaultEffect } from '../../deploy/local/forge/faults.ts'
import { connect, type Db } from '#shared/db/connect.ts'
import { openDoor, type Door } from './door.ts'
import { list } from './kubectl.ts'
import { NAMESPACE } from './platform.ts'
import { TOKENS, type Repository, type RepositoryName } from './world.ts'

const MESSAGE = { title: 'Add adds', summary: 'It subtracted.', tests: 'None.' }

/** One line of the forge's own ledger: what really happened there. */
export interface ForgeEntry {
  readonly kind: string
  readonly number?: number
  readonly head?: string
  readonly [detail: string]: unknown
}

/** What a test file works with: the one installation, a repository of its own, and the door that its hook delivers to. */
export interface Place {
  readonly db: Db
  readonly door: Door
  readonly repository: Repository
  /** Of the hook at the forge. */
  readonly forgeHookId: number
  /** A request to the forge by the repository's owner. */
  alice(method: string, path: string, body?: unknown): Promise<unknown>
  /** Opens an issue, whose text says to the stub agent what to do; returns its number. */
  issue(title: string, told?: { readonly hangs?: number; readonly eats?: boolean }): Promise<number>
  /** Sets the label on an issue, as alice would. */
  label(issue: number, label?: string): Promise<void>
  /** What happened at the forge in this repository. */
  ledger(kind: string): Promise<readonly ForgeEntry[]>
  /** From here on requests that match get the effect instead; `noFaults` ends it. */
  fault(effect: FaultEffect, which: Omit<Fault, 'then'>): Promise<void>
  noFaults(): Promise<void>
  /** As if an hour had passed at the forge: what was asked for until now counts no more against its limits. */
  restPace(): Promise<void>
  close(): Promise<void>
}

/** Opens a door and lets the repository's hook deliver to it from now on. */
export async function openPlace(name: RepositoryName, installed = inject('installed')): Promise<Place> {
  const { ownerUrl, forgeUrl, repositories } = installed
  const repository = repositories[name]
  const db = connect(ownerUrl, { name: 'cluster-test' })
  const gateway = (await list('ksvc', NAMESPACE)).find(({ metadata }) => metadata.name === 'webhook-gateway')
  const door = await openDoor(gateway?.status?.url ?? '')

  const ask = async (method: string, path: string, body?: unknown, token?: string): Promise<unknown> => {
    const response = await fetch(`${forgeUrl}${path}`, {
      method,
      headers: { 'content-type': 'application/json', ...(token && { authorization: `Bearer ${token}` }) },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    })
    const text = await response.text()
    if (!response.ok) throw new Error(`${method} ${path}: ${response.status} ${text}`)
    return text === '' ? {} : JSON.parse(text)
  }
  const alice: Place['alice'] = (method, path, body) => ask(method, path, body, TOKENS.alice)
  const hook = (await alice('POST', `/repos/${repository.fullName}/hooks`, {
    name: 'web',
    active: true,
    events: ['issues', 'issue_comment'],
    config: { url: `${door.url}${repository.hookPath}`, content_type: 'json', secret: repository.secret },
  })) as { id: number }
  await rememberHook(db, repository, String(hook.id))

  return {
    db,
    door,
    repository,
    forgeHookId: hook.id,
    alice,
    async issue(title, told = {}) {
      const { number } = (await alice('POST', `/repos/${repository.fullName}/issues`, {
        title,
        body: JSON.stringify({ files: { 'add.js': 'a + b\n' }, message: MESSAGE, ...told }),
      })) as {
        number: number
      }
      return number
    },
    async label(issue, label = 'run:dev') {
      await alice('POST', `/repos/${repository.fullName}/issues/${issue}/labels`, { labels: [label] })
    },
    async ledger(kind) {
      const entries = (await ask('GET', `/_forge/ledger?kind=${kind}`)) as (ForgeEntry & { repo?: string })[]
      return entries.filter(({ repo }) => repo === undefined || repo === repository.fullName)
    },
    fault: async (effect, which) =>
      // oxlint-disable-next-line unicorn/no-thenable -- the forge's word; nothing awaits it
      void (await ask('POST', '/_forge/faults', { ...which, then: effect })),
    noFaults: async () => void (await ask('DELETE', '/_forge/faults')),
    restPace: async () => void (await db.deleteFrom('forge_pace').execute()),
    async close() {
      door.stop()
      await db.destroy()
    },
  }
}
