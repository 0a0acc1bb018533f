import { spawn } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

// npm test [-- FILES AND OPTIONS OF VITEST]: ends with a line `N passed, N failed`.

interface Report {
  readonly numPassedTests: number
  readonly numFailedTests: number
  readonly testResults: readonly { readonly status: string; readonly assertionResults: readonly { status: string }[] }[]
}

const root = join(import.meta.dirname, '..')
const folder = mkdtempSync(join(tmpdir(), 'codex-k8s-report-'))
const report = join(folder, 'report.json')

const reporters = ['--reporter=default', '--reporter=json', `--outputFile.json=${report}`]
const vitest = [join(root, 'node_modules', '.bin', 'vitest'), 'run', ...reporters, ...process.argv.slice(2)]
const child = spawn(process.execPath, vitest, { cwd: root, stdio: 'inherit' })
// Ctrl-C in a terminal reaches vitest by itself; this process waits for the end of its clean-up.
process.on('SIGINT', () => process.stdin.isTTY || child.kill('SIGINT'))
// At SIGTERM vitest would go at once and leave the database server behind.
process.on('SIGTERM', () => child.kill('SIGINT'))
const code = await new Promise<number | null>((resolve) => child.once('close', resolve))

const { passed, failed } = count()
rmSync(folder, { recursive: true, force: true })
console.log(`${passed} passed, ${failed} failed`)
process.exitCode = failed === 0 && passed > 0 ? 0 : 1

/** A file that does not load and an error outside any test are failures too, though no test bears them. */
function count(): { passed: number; failed: number } {
  let read: Report
  try {
    read = JSON.parse(readFileSync(report, 'utf8')) as Report
  } catch {
    return { passed: 0, failed: 1 }
  }
  const broken = read.testResults.filter(
    (file) => file.status === 'failed' && !file.assertionResults.some((test) => test.status === 'failed'),
  )
  const failed = read.numFailedTests + broken.length
  return { passed: read.numPassedTests, failed: failed === 0 && code !== 0 ? 1 : failed }
}
