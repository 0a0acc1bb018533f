import { deadletters } from './commands/deadletters.ts'
import { doctor } from './commands/doctor.ts'
import { events } from './commands/events.ts'
import { grants, whoami } from './commands/grants.ts'
import { labels } from './commands/labels.ts'
import { ledger } from './commands/ledger.ts'
import { project } from './commands/project.ts'
import { runs } from './commands/runs.ts'
import { version } from './commands/version.ts'
import { KnCommand } from './kn-command.ts'
import { withGlobals } from './options.ts'
import type { Terminal } from './terminal.ts'

const groups = [
  { name: 'runs', says: 'List, look at, cancel and retry runs of agents', add: runs },
  { name: 'events', says: 'Look at events and what became of them', add: events },
  { name: 'deadletters', says: 'Look at what was set aside, and put it back', add: deadletters },
  { name: 'project', says: 'Connect and disconnect repositories', add: project },
  { name: 'labels', says: 'Keep the labels of a repository', add: labels },
  { name: 'ledger', says: 'Check the history', add: ledger },
  { name: 'grants', says: 'Say who may do what', add: grants },
] as const

/** The whole command line. */
export function program(terminal: Terminal): KnCommand {
  const root = withGlobals(new KnCommand('kn codex'))
    .description('Operate codex-k8s: coding agents that work on labels, on Knative')
    .helpCommand(false)
    .helpOption('-h, --help', 'show help')
    .configureHelp({ showGlobalOptions: true })
    .configureOutput({ writeOut: (text) => terminal.out(text), writeErr: (text) => terminal.out(text) })
    .exitOverride() as KnCommand
  for (const { name, says, add } of groups) {
    const group = root.command(name).description(says) as KnCommand
    add(group, terminal)
    group.asGroup()
  }
  doctor(root.command('doctor') as KnCommand, terminal)
  whoami(root.command('whoami') as KnCommand, terminal)
  version(root.command('version') as KnCommand, terminal)
  // kn asks every plugin this where context sharing is on: it must cost nothing. We neither give nor take anything.
  root.command('manifest', { hidden: true }).action(() => terminal.out('{"hasManifest":true}\n'))
  return root.asGroup()
}
