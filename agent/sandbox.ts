import { execFile } from 'node:child_process'
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

/**
 * Does the CLI's own sandbox run a command here? It needs user namespaces; without them every command of the agent
 * fails while the CLI still exits with 0. A command inside has to write a file inside and must not write one outside.
 */
export async function probeSandbox(binary: string): Promise<boolean> {
  const home = await mkdtemp(join(tmpdir(), 'codex-probe-'))
  try {
    const settings = [
      'sandbox_mode="workspace-write"',
      'sandbox_workspace_write.exclude_slash_tmp=true',
      'check_for_update_on_startup=false',
      'analytics.enabled=false',
    ]
    const script = 'echo inside > proof; (echo outside > /usr/codex-probe) 2>/dev/null; test ! -e /usr/codex-probe'
    const args = ['sandbox', ...settings.flatMap((setting) => ['-c', setting]), '--', '/bin/sh', '-c', script]
    const env = { PATH: '/usr/local/bin:/usr/bin:/bin', HOME: home, CODEX_HOME: home }
    await new Promise<void>((resolve, reject) => {
      const child = execFile(binary, args, { cwd: home, env, timeout: 10_000 }, (error) =>
        error === null ? resolve() : reject(error),
      )
      child.stdin?.end()
    })
    return (await readFile(join(home, 'proof'), 'utf8')) === 'inside\n'
  } catch {
    return false
  } finally {
    await rm(home, { recursive: true, force: true })
  }
}
