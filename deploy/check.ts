import { spawn } from 'node:child_process'
import { join } from 'node:path'

// npm run check: types, lint and format; all of them run, so that one round shows everything.

const bin = join(import.meta.dirname, '..', 'node_modules', '.bin')

const checks: readonly (readonly [name: string, ...command: string[]])[] = [
  ['types', 'tsc'],
  ['lint', 'oxlint', '--type-aware', '--deny-warnings'],
  ['format', 'oxfmt', '--check'],
]

const failed: string[] = []
for (const [name, command = '', ...args] of checks) {
  const since = Date.now()
  const child = spawn(process.execPath, [join(bin, command), ...args], { stdio: 'inherit' })
  const code = await new Promise<number | null>((resolve) => child.once('close', resolve))
  if (code !== 0) failed.push(name)
  console.log(`${name}: ${code === 0 ? 'ok' : 'failed'} (${((Date.now() - since) / 1000).toFixed(1)} s)`)
}
console.log(failed.length === 0 ? 'all checks passed' : `failed: ${failed.join(', ')}`)
process.exitCode = failed.length === 0 ? 0 : 1
