import { readFileSync } from 'node:fs'
import { mkdir, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { isAgentConfig } from './agent-config.ts'
import { git } from './git.ts'
import type { GitCall } from './git.ts'

/** One path of the base commit. */
export interface BaseEntry {
  readonly mode: string
  readonly object: string
}

/**
 * The base commit as it was before the agent started, kept in this process: what the agent does to the repository's
 * `.git` cannot change what its work is compared with. A path is one latin1 character per byte, as git has bytes.
 */
export interface BaseTree {
  readonly entries: ReadonlyMap<string, BaseEntry>
  /** Contents of the `.gitignore` files. */
  readonly ignores: ReadonlyMap<string, Buffer>
}

/**
 * Checks out exactly `commit` into `directory`, as raw bytes: no filter, no line-end or encoding conversion, no
 * submodule, no hook, no agent configuration. No remote and no credential is left.
 */
export async function checkout(options: {
  readonly url: string
  readonly commit: string
  readonly token: string
  readonly directory: string
  readonly path: string
  readonly signal: AbortSignal
}): Promise<BaseTree> {
  const { url, commit, token, directory } = options
  const here: GitCall = { cwd: directory, path: options.path, signal: options.signal }
  await mkdir(directory)
  await git(['init', '--quiet', '--template=', '.'], here)
  const metadata = join(directory, '.git')
  await mkdir(join(metadata, 'info'))
  // The file with the last word on attributes: what a `.gitattributes` says about content has no effect.
  await writeFile(join(metadata, 'info', 'attributes'), '* -text -eol -filter -ident !working-tree-encoding\n')
  // For git as the CLI and the agent run it: nothing from the repository runs as a side effect.
  await git(['config', 'core.hooksPath', '/dev/null'], here)
  await git(['config', 'core.fsmonitor', 'false'], here)
  await git(['fetch', '--quiet', '--depth=1', '--no-tags', '--no-recurse-submodules', '--', url, commit], {
    ...here,
    bearer: token,
  })
  await rm(join(metadata, 'FETCH_HEAD'), { force: true })

  await git(['update-ref', '--no-deref', 'HEAD', commit], here)
  await git(['read-tree', commit], here)
  const entries = parseTree(await git(['ls-tree', '-r', '-z', '--full-tree', commit], here))
  const hidden = [...entries.keys()].filter(isAgentConfig)
  if (hidden.length > 0) {
    const stdin = Buffer.from(hidden.map((path) => `${path}\0`).join(''), 'latin1')
    await git(['update-index', '-z', '--skip-worktree', '--stdin'], { ...here, stdin })
  }
  await git(['checkout-index', '--all', '--index'], here)

  const ignores = new Map<string, Buffer>()
  for (const [path, { mode }] of entries) {
    if (!/(?:^|\/)\.gitignore$/.test(path) || !mode.startsWith('100') || isAgentConfig(path)) continue
    ignores.set(path, readFileSync(Buffer.concat([Buffer.from(`${directory}/`), Buffer.from(path, 'latin1')])))
  }
  return { entries, ignores }
}

function parseTree(listing: Buffer): Map<string, BaseEntry> {
  const entries = new Map<string, BaseEntry>()
  for (const line of listing.toString('latin1').split('\0')) {
    const [, mode, object, path] = /^(\d{6}) \w+ ([0-9a-f]{40})\t([\s\S]+)$/.exec(line) ?? []
    if (mode !== undefined && object !== undefined && path !== undefined) entries.set(path, { mode, object })
  }
  return entries
}
