import { spawn } from 'node:child_process'
import { join } from 'node:path'

// npm run check: types, lint, format, and what is generated from the contract; all of them run, so that one round shows everything.

const bin = join(import.meta.dirname, '..', 'node_modules', '.bin')

const checks: readonly (readonly [name: string, ...command: string[]])[] = [
  // By its path: the compiler that the generator needs as a library has a bin of the same name.
  ['types', '../typescript/bin/tsc'],
  ['lint', 'oxlint', '--type-aware', '--deny-warnings'],
  ['format', 'oxfmt', '--check'],
  ['contract', '../../deploy/generate.ts', '--check'],
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
