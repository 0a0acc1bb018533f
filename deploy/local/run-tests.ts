import { execFile } from 'node:child_process'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'

const exec = promisify(execFile)

/** Runs the tests of a branch on a fresh clone; `N passed, N failed`. */
export async function runTests(url: string, branch: string): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'codex-k8s-look-'))
  try {
    await exec('git', ['clone', '--quiet', '--depth', '1', '--branch', branch, '--', url, folder])
    const { stdout } = await exec(process.execPath, ['--test', '--test-reporter=tap'], {
      cwd: folder,
      env: { PATH: process.env['PATH'] ?? '' },
    }).catch((error: unknown) => error as { stdout: string })
    const count = (what: string) => new RegExp(`^# ${what} (\\d+)`, 'm').exec(stdout)?.[1] ?? '?'
    return `${count('pass')} passed, ${count('fail')} failed`
  } finally {
    await rm(folder, { recursive: true, force: true })
  }
}
