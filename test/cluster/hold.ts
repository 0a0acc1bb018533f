import { readFileSync } from 'node:fs'
import pg from 'pg'
import { inject } from 'vitest'
import type { Projection } from '#shared/db/projections.ts'
import { eventually } from '../support/wait.ts'
import { kubectl, list, notReady } from './kubectl.ts'

/** A table in which nobody can write. */
export interface Hold {
  /** Waits until the function stands before the table. */
  reached(name: string): Promise<void>
  /** Waits until the process that stood there is gone, also for the database. */
  gone(): Promise<void>
  release(): Promise<void>
}

/** A table that can be held; the ledger and the inbox are no projections. */
export type Table = Projection | 'comments' | 'inbox' | 'ledger' | 'model_calls' | 'progress'

/** Lets nobody write in a table, so that whoever wants to stands in the middle of its work until it is killed. */
export async function hold(table: Table): Promise<Hold> {
  const client = new pg.Client({ connectionString: inject('installed').ownerUrl, application_name: 'hold' })
  // The server may be what is killed.
  client.on('error', () => {})
  await client.connect()
  await client.query('begin')
  await client.query(`lock table ${table} in share mode`)
  let pids: number[] = []
  // Inside a transaction the server shows its connections as they were when it was first asked.
  const fresh = () => client.query('select pg_stat_clear_snapshot()')
  const waiting = async (name: string): Promise<number[]> => {
    await fresh()
    const { rows } = await client.query<{ pid: number }>(
      `select pid from pg_stat_activity where application_name = $1 and wait_event_type = 'Lock'`,
      [name],
    )
    return rows.map(({ pid }) => pid)
  }
  return {
    async reached(name) {
      pids = await eventually(
        async () => {
          const found = await waiting(name)
          return found.length > 0 && found
        },
        { what: `${name} to stand before ${table}`, timeoutMs: 45_000 },
      )
    },
    async gone() {
      await eventually(
        async () => {
          await fresh()
          const { rowCount } = await client.query('select from pg_stat_activity where pid = any($1)', [pids])
          return rowCount === 0
        },
        { what: `the process before ${table} to be gone`, timeoutMs: 30_000 },
      )
    },
    async release() {
      await client.end().catch(() => {})
    },
  }
}

/** Kills the pods whose names begin like this, as a node that goes down would: at once. Fails if there is none. */
export async function killPods(namespace: string, prefix: string): Promise<readonly string[]> {
  const pods = (await list('pods', namespace)).map(({ metadata }) => metadata.name)
  const victims = pods.filter((name) => name.startsWith(prefix))
  if (victims.length === 0) throw new Error(`no pod ${prefix}* in ${namespace}: ${pods.join(', ')}`)
  await kubectl(['delete', 'pods', ...victims, '--namespace', namespace, '--grace-period', '0', '--force'])
  return victims
}

/** Whether there are pods whose names begin like this, none of those, and all of them are ready. */
export async function areBack(namespace: string, prefix: string, killed: readonly string[]): Promise<boolean> {
  const pods = (await list('pods', namespace)).filter(({ metadata }) => metadata.name.startsWith(prefix))
  return pods.length > 0 && notReady(pods).length === 0 && !pods.some(({ metadata }) => killed.includes(metadata.name))
}

/** Kills the database server; whoever keeps it up starts it again. */
export function killDatabase(): void {
  process.kill(Number(readFileSync(inject('installed').databasePid, 'utf8').split('\n', 1)[0]), 'SIGKILL')
}
