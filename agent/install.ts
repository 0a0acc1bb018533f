import { chmodSync, copyFileSync, cpSync, mkdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { basename, join } from 'node:path'
import { parseArgs } from 'node:util'

// node /opt/codex-k8s/install.js [--only-loader] TARGET [TOKEN_FILE TOKEN_TARGET]
//
// The init container of an agent's pod: copies what the runner needs from the agent's image into an empty volume, from
// which the run's own image starts it, whatever that image is made of. A second time it writes the same again.
//
//   TARGET/bin/node     Node
//   TARGET/lib/         the loader and the libraries of that Node
//   TARGET/runner/      the runner; main.js starts it
//   TARGET/codex/       the Codex CLI; bin/codex is CODEX_BINARY
//
// `TARGET/lib/loader --library-path TARGET/lib TARGET/bin/node TARGET/runner/main.js` starts the runner everywhere, on Alpine
// too. The loader may be executed and not read: so the kernel lets no other process of the same user look into what it
// starts. The agent is such a process, and the runner has the attempt's tokens in its memory.
//
// With --only-loader the run's image is the agent's, which has the rest: TARGET/lib has the loader, and TARGET/bin/node
// leads to the image's own Node.
//
// With TOKEN_FILE its content is written to TOKEN_TARGET, for the owner alone to read and remove: a Secret is mounted here
// and not in the container that the agent's commands run in.

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: { 'only-loader': { type: 'boolean', default: false } },
})
const [target, tokenFile, tokenTarget] = positionals
if (target === undefined || (tokenFile !== undefined && tokenTarget === undefined)) {
  process.stderr.write(`${target === undefined ? 'TARGET' : 'TOKEN_TARGET'}: is not set\n`)
  process.stderr.write('usage: node install.js [--only-loader] TARGET [TOKEN_FILE TOKEN_TARGET]\n')
  process.exit(78) // EX_CONFIG
}

const at = (...path: readonly string[]) => join(target, ...path)
for (const folder of ['bin', 'lib']) mkdirSync(at(folder), { recursive: true })
// What cannot be written over.
for (const file of [at('lib', 'loader'), at('bin', 'node')]) rmSync(file, { force: true })
for (const library of libraries()) {
  const isLoader = /\/ld-[^/]*$/.test(library)
  if (isLoader || !values['only-loader']) copyFileSync(library, at('lib', isLoader ? 'loader' : basename(library)))
  if (isLoader) chmodSync(at('lib', 'loader'), 0o111)
}
if (values['only-loader']) symlinkSync(process.execPath, at('bin', 'node'))
else {
  copyFileSync(process.execPath, at('bin', 'node'))
  for (const folder of ['runner', 'codex']) cpSync(join(import.meta.dirname, folder), at(folder), { recursive: true })
}
if (tokenFile !== undefined && tokenTarget !== undefined)
  writeFileSync(tokenTarget, readFileSync(tokenFile), { mode: 0o600 })

/** The files that this Node is linked against. */
function libraries(): string[] {
  const { sharedObjects } = process.report.getReport() as unknown as { sharedObjects: readonly string[] }
  return sharedObjects.filter((path) => path.startsWith('/') && path !== process.execPath)
}
