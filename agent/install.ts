import { copyFileSync, cpSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { basename, join } from 'node:path'

// node /opt/codex-k8s/install.js TARGET [TOKEN_FILE TOKEN_TARGET]
//
// The init container of an agent's pod: copies what the runner needs from the agent's image into an empty volume, from
// which the run's own image starts it, whatever that image is made of. A second time it writes the same again.
//
//   TARGET/bin/node     Node
//   TARGET/lib/         the loader and the libraries of that Node
//   TARGET/runner/      the runner; main.js starts it
//   TARGET/codex/       the Codex CLI; bin/codex is CODEX_BINARY
//
// Where the run's image has a C library like ours, `TARGET/bin/node TARGET/runner/main.js` does; everywhere, Alpine too,
// `TARGET/lib/loader --library-path TARGET/lib TARGET/bin/node TARGET/runner/main.js`.
//
// With TOKEN_FILE its content is written to TOKEN_TARGET, for the owner alone to read and remove: a Secret is mounted here
// and not in the container that the agent's commands run in.

const [target, tokenFile, tokenTarget] = process.argv.slice(2)
if (target === undefined || (tokenFile !== undefined && tokenTarget === undefined)) {
  process.stderr.write(`${target === undefined ? 'TARGET' : 'TOKEN_TARGET'}: is not set\n`)
  process.stderr.write('usage: node install.js TARGET [TOKEN_FILE TOKEN_TARGET]\n')
  process.exit(78) // EX_CONFIG
}

for (const folder of ['bin', 'lib']) mkdirSync(join(target, folder), { recursive: true })
copyFileSync(process.execPath, join(target, 'bin', 'node'))
for (const library of libraries()) {
  const isLoader = /\/ld-[^/]*$/.test(library)
  copyFileSync(library, join(target, 'lib', isLoader ? 'loader' : basename(library)))
}
for (const folder of ['runner', 'codex'])
  cpSync(join(import.meta.dirname, folder), join(target, folder), { recursive: true })
if (tokenFile !== undefined && tokenTarget !== undefined)
  writeFileSync(tokenTarget, readFileSync(tokenFile), { mode: 0o600 })

/** The files that this Node is linked against. */
function libraries(): string[] {
  const { sharedObjects } = process.report.getReport() as unknown as { sharedObjects: readonly string[] }
  return sharedObjects.filter((path) => path.startsWith('/') && path !== process.execPath)
}
