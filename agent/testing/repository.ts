import { execFileSync } from 'node:child_process'
import { chmodSync, cpSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { onTestFinished } from 'vitest'

const env = {
  PATH: process.env['PATH'] ?? '',
  HOME: '/nonexistent',
  GIT_CONFIG_NOSYSTEM: '1',
  GIT_CONFIG_GLOBAL: '/dev/null',
  GIT_AUTHOR_NAME: 'Test',
  GIT_AUTHOR_EMAIL: 'test@example.com',
  GIT_COMMITTER_NAME: 'Test',
  GIT_COMMITTER_EMAIL: 'test@example.com',
  GIT_AUTHOR_DATE: '2026-01-01T00:00:00Z',
  GIT_COMMITTER_DATE: '2026-01-01T00:00:00Z',
}

/** Runs git without any configuration of the machine. */
export function plainGit(cwd: string, ...args: string[]): string {
  return execFileSync('git', args, { cwd, env, encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] }).trim()
}

/** A file's text, or its text and mode, or a link's target, or the commit of a submodule. */
export type Content =
  | string
  | Buffer
  | { readonly executable: string }
  | { readonly link: string }
  | { readonly submodule: string }

/** A repository with one commit, as a server has it. */
export interface SampleRepository {
  readonly directory: string
  readonly commit: string
}

/** An empty folder that is nobody else's; it goes with the test. */
export function temporaryFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), 'codex-k8s-agent-'))
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }))
  return folder
}

/** Makes a repository of the files, on top of the folder `from` if one is named. */
export function sampleRepository(files: Readonly<Record<string, Content>>, from?: string): SampleRepository {
  const directory = temporaryFolder()
  plainGit(directory, 'init', '-q', '--template=', '.')
  // What is committed is what the test says, whatever a .gitattributes among the files asks for.
  putFile(directory, '.git/info/attributes', '* -text -filter -ident\n')
  if (from !== undefined) cpSync(from, directory, { recursive: true })
  for (const [path, content] of Object.entries(files)) putFile(directory, path, content)
  plainGit(directory, 'add', '-A', '-f')
  for (const [path, content] of Object.entries(files)) {
    if (typeof content === 'string' || !('submodule' in content)) continue
    plainGit(directory, 'update-index', '--add', '--cacheinfo', `160000,${content.submodule},${path}`)
  }
  plainGit(directory, 'commit', '-q', '--allow-empty', '-m', 'Base')
  return { directory, commit: plainGit(directory, 'rev-parse', 'HEAD') }
}

/** Writes one file, with its folders. */
export function putFile(directory: string, path: string, content: Content): void {
  const file = join(directory, path)
  mkdirSync(dirname(file), { recursive: true })
  if (typeof content === 'string' || Buffer.isBuffer(content)) writeFileSync(file, content)
  else if ('link' in content) symlinkSync(content.link, file)
  else if ('executable' in content) {
    writeFileSync(file, content.executable)
    chmodSync(file, 0o755)
  }
}
