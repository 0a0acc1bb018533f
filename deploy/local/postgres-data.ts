import { spawnSync } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import * as fs from 'node:fs'
import { basename, dirname, join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { account } from './postgres-install.ts'

/** The password of an existing data directory that this version can open. */
export function openData(dataDir: string): string {
  const remedy = `move it away, or delete it to start empty: ${dataDir}`
  const have = read(join(dataDir, 'PG_VERSION'))?.trim()
  if (have === undefined) throw new Error(`this is not a PostgreSQL data directory; ${remedy}`)
  if (have !== '18') throw new Error(`the database was made by PostgreSQL ${have}, this is 18; ${remedy}`)
  const [owner, user] = [fs.statSync(dataDir).uid, account?.uid ?? process.getuid?.()]
  if (owner !== user) throw new Error(`the database was made by another user (uid ${owner}); ${remedy}`)
  const password = read(`${dataDir}.password`)?.trim()
  if (!password) throw new Error(`the database's password is gone (${dataDir}.password); ${remedy}`)
  return password
}

/** Made beside its place and moved there when it is whole: a data directory is never half made. */
export function createData(binaries: string, dataDir: string, durable: boolean, say: (line: string) => void): string {
  const since = Date.now()
  const fresh = `${dataDir}.new-${process.pid}`
  const passwordFile = `${dataDir}.password`
  const password = randomBytes(24).toString('hex')
  try {
    for (const name of fs.readdirSync(dirname(dataDir))) {
      const [, maker] = name.split(`${basename(dataDir)}.new-`)
      if (maker && bornAt(Number(maker)) === undefined) fs.rmSync(join(dirname(dataDir), name), { recursive: true })
    }
    fs.mkdirSync(fresh, { recursive: true, mode: 0o700 })
    fs.writeFileSync(passwordFile, `${password}\n`, { mode: 0o600 })
    if (account) for (const path of [fresh, passwordFile]) fs.chownSync(path, account.uid, account.gid)
    const args = ['-D', fresh, '-U', 'postgres', '--encoding=UTF8', '--locale=C', '--auth=scram-sha-256']
    // The password is 192 random bits: stretching it would only make each connection slower.
    args.push(`--pwfile=${passwordFile}`, '-c', 'scram_iterations=1', ...(durable ? [] : ['--no-sync']))
    const made = spawnSync(join(binaries, 'bin', 'initdb'), args, { ...account, cwd: '/', encoding: 'utf8' })
    if (made.error) throw made.error
    if (made.status !== 0) throw new Error(explain(made.stderr, dataDir))
    fs.chmodSync(passwordFile, 0o600)
    if (account) fs.chownSync(passwordFile, 0, 0)
    fs.renameSync(fresh, dataDir)
  } catch (error) {
    fs.rmSync(fresh, { recursive: true, force: true })
    if ((error as NodeJS.ErrnoException).code === 'ENOSPC')
      throw new Error(explain('No space left', dataDir), { cause: error })
    throw error
  }
  say(`created the database in ${Date.now() - since} ms`)
  return password
}

/** Ends a server whose starter was killed; refuses when the starter lives: two of us on one database would fight. */
export async function endOrphan(dataDir: string, say: (line: string) => void): Promise<void> {
  const pidFile = join(dataDir, 'postmaster.pid')
  const server = Number(read(pidFile)?.split('\n')[0])
  if (!server || bornAt(server) === undefined) return
  // After a restart of the machine the number may be another process's.
  if (read(`/proc/${server}/cmdline`)?.includes(dataDir) === false) return fs.rmSync(pidFile, { force: true })
  const [owner, ownerBorn] = (read(`${dataDir}.owner`) ?? '').trim().split(' ')
  if (owner && bornAt(Number(owner)) === ownerBorn)
    throw new Error(`another copy is running on this database: process ${owner}`)
  say('ending the database server that a killed run left behind')
  for (const signal of ['SIGINT', 'SIGQUIT'] as const) {
    process.kill(server, signal)
    for (let waited = 0; waited < 5_000; waited += 20) {
      if (!fs.existsSync(pidFile) || bornAt(server) === undefined) return
      await sleep(20)
    }
  }
  throw new Error(`the database server of an earlier run does not end: process ${server}`)
}

/** When the process was started, in a form that tells it from a later one of the same number; undefined when there is none. */
export function bornAt(pid: number): string | undefined {
  try {
    process.kill(pid, 0)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EPERM') return undefined
  }
  const fields = read(`/proc/${pid}/stat`)?.split(') ')[1]?.split(' ')
  return fields?.[0] === 'Z' ? undefined : (fields?.[19] ?? 'running')
}

/** One line out of what PostgreSQL printed. */
export function explain(output: string, dataDir: string): string {
  if (/no space left/i.test(output)) return `the disk is full: the database needs about 100 MB in ${dirname(dataDir)}`
  const line = output.split('\n').find((text) => /FATAL|PANIC|error:/.test(text)) ?? output.trim().split('\n').at(-1)
  return `PostgreSQL does not start: ${line?.replace(/^.*(FATAL|PANIC|error): +/, '')} (see ${dataDir}.log)`
}

/** The text of a file, undefined when it cannot be read. */
export function read(path: string): string | undefined {
  try {
    return fs.readFileSync(path, 'utf8')
  } catch {
    return undefined
  }
}
