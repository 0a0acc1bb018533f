import { randomBytes } from 'node:crypto'
import { chmodSync, existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { bornAt } from './postgres-data.ts'
import { reachableFolder } from './postgres-install.ts'

/** Where a checkout keeps what outlives a start: database, keys, Jobs. */
export interface State {
  readonly folder: string
  readonly secretsDir: string
  readonly jobsDir: string
  readonly tokenKey: string
  release(): void
}

/** Takes the checkout's state for this process. Throws one line when another copy has it. */
export function takeState(folder: string): State {
  const own = reachableFolder(folder)
  mkdirSync(own, { recursive: true })
  chmodSync(own, 0o711)
  const lock = join(own, 'running')
  const [pid = '', born = ''] = existsSync(lock) ? readFileSync(lock, 'utf8').trim().split(' ') : []
  if (pid !== '' && bornAt(Number(pid)) === born)
    throw new Error(`another copy is running here already (process ${pid}): stop it with Ctrl-C, or use another clone`)
  writeFileSync(lock, `${process.pid} ${bornAt(process.pid)}\n`)
  const keyFile = join(own, 'token-key')
  if (!existsSync(keyFile)) writeFileSync(keyFile, randomBytes(32).toString('hex'), { mode: 0o600 })
  return {
    folder: own,
    secretsDir: join(own, 'secrets'),
    jobsDir: join(own, 'jobs'),
    tokenKey: readFileSync(keyFile, 'utf8'),
    release: () => rmSync(lock, { force: true }),
  }
}
