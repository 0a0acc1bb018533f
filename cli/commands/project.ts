import { setTimeout as sleep } from 'node:timers/promises'
import { age } from '../age.ts'
import { Failure } from '../failure.ts'
import { removeHookSecret, writeHookSecret } from '../hook-secret.ts'
import type { KnCommand } from '../kn-command.ts'
import {
  count,
  seconds,
  sessionOf,
  withList,
  withOutput,
  withWait,
  type LimitOption,
  type PrintOptions,
  type WaitOptions,
} from '../options.ts'
import { single, type Listing } from '../output.ts'
import { firstOf } from '../pages.ts'
import { ping } from '../ping.ts'
import { printList } from '../print-list.ts'
import { projectOf } from '../project-of.ts'
import { Refused, type Answer, type StaffApi } from '../staff-api.ts'
import { fields } from '../table.ts'
import type { Terminal } from '../terminal.ts'

type Project = Answer<'getProject'>

/** Seconds between two tries when the API does not say how many. */
const AGAIN = 5

/** `kn codex project`. */
export function project(group: KnCommand, terminal: Terminal): void {
  withWait(withOutput(group.command('add')), 'the hook is there')
    .description('Connect a repository: its hook with a secret of its own, and its labels')
    .argument('<repository>', 'owner/name, where our App or machine user may administrate')
    .option('--max-active <number>', 'runs at a time', count)
    .option('--run-namespace <namespace>', 'one of the run namespaces of the installation')
    .action(async (repository: string, options: AddOptions, command: KnCommand) => {
      const session = sessionOf(command, terminal)
      const staff = await session.staff()
      const { maxActive, runNamespace } = options
      const added = await staff('addProject', {
        body: {
          repository,
          ...(maxActive !== undefined && { maxActive }),
          ...(runNamespace !== undefined && { runNamespace }),
        },
      })
      const { id, hook } = added.project
      if (hook !== null && hook.state === 'waiting') {
        await writeHookSecret(session.cluster(), session.namespace, hook.secretName)
        terminal.note(`The hook's secret is in the Secret codex-k8s-hooks, key ${hook.secretName}.`)
      }
      const { changed, project: connected } = await connect(staff, id, options, terminal)
      terminal.out(
        single(options.output, connected, `project/${id}`, () =>
          changed || added.changed
            ? `Project '${repository}' connected. To see it work: kn codex project ping ${repository}\n`
            : `Project '${repository}' was connected before.\n`,
        ),
      )
    })

  withList(group.command('list'))
    .description('List the repositories that are or were connected')
    .option('--state <state>', 'connected or disconnected only')
    .action(async (options: PrintOptions & LimitOption & { state?: Project['state'] }, command: KnCommand) => {
      const staff = await sessionOf(command, terminal).staff()
      const found = await firstOf(options.limit, async (part) => {
        const { projects: items, next } = await staff('listProjects', { query: { state: options.state, ...part } })
        return { items, next }
      })
      printList(terminal, options, found, projectList(terminal.now()))
    })

  withOutput(group.command('describe'))
    .description('Show a project and its hook')
    .argument('<project>', 'owner/name or id')
    .action(async (meant: string, options: PrintOptions, command: KnCommand) => {
      const staff = await sessionOf(command, terminal).staff()
      const found = await projectOf(staff, meant)
      terminal.out(single(options.output, found, `project/${found.id}`, () => describe(found, terminal.now())))
    })

  withOutput(group.command('remove'))
    .description('Disconnect a repository: its runs are cancelled, its hook is taken away, its history stays')
    .argument('<project>', 'owner/name or id')
    .action(async (meant: string, options: PrintOptions, command: KnCommand) => {
      const session = sessionOf(command, terminal)
      const staff = await session.staff()
      const { id, repository, hook } = await projectOf(staff, meant)
      const { changed, project: removed } = await staff('removeProject', { path: { project: id } })
      if (hook !== null && !(await removeHookSecret(session.cluster(), session.namespace, hook.secretName)))
        terminal.note(
          `The key ${hook.secretName} of the Secret codex-k8s-hooks could not be removed; it is of no use any more.`,
        )
      terminal.out(
        single(options.output, removed, `project/${id}`, () =>
          changed ? `Project '${repository}' disconnected.\n` : `Project '${repository}' was disconnected before.\n`,
        ),
      )
    })

  group
    .command('ping')
    .description('Have the forge send a signed ping, and follow it to the ledger')
    .argument('<project>', 'owner/name or id')
    .option('--wait-timeout <seconds>', 'how long to wait', seconds, 60)
    .action(async (meant: string, { waitTimeout }: { waitTimeout: number }, command: KnCommand) => {
      const staff = await sessionOf(command, terminal).staff()
      const { id } = await projectOf(staff, meant)
      const { status, says, next } = await ping(staff, id, waitTimeout)
      if (status !== 'ok') throw new Failure(says, next ?? undefined)
      terminal.out(`${says}\n`)
    })
}

interface AddOptions extends WaitOptions, PrintOptions {
  readonly maxActive?: number
  readonly runNamespace?: string
}

/** The last step of adding: again and again until the running functions see the new key of the Secret. */
async function connect(staff: StaffApi, project: string, { wait, waitTimeout }: WaitOptions, terminal: Terminal) {
  const end = performance.now() + waitTimeout * 1_000
  for (let tries = 0; ; tries += 1) {
    try {
      return await staff('connectProject', { path: { project } })
    } catch (error) {
      if (!(error instanceof Refused) || error.code !== 'secret_not_visible') throw error
      const again = error.retryAfter ?? AGAIN
      if (!wait || performance.now() + again * 1_000 > end)
        throw new Failure(
          'the hook is not there yet: Kubernetes has not shown its secret to the functions',
          'Run the same command again in two minutes.',
        )
      if (tries === 0) terminal.note('Waiting for Kubernetes to show the secret to the functions: up to two minutes.')
      await sleep(again * 1_000)
    }
  }
}

const projectList = (now: number): Listing<Project> => ({
  none: 'No projects found.',
  name: ({ id }) => `project/${id}`,
  columns: [
    { header: 'repository', value: ({ repository }) => repository },
    { header: 'state', value: ({ state }) => state },
    { header: 'hook', value: ({ hook }) => (hook?.problem ? `problem: ${hook.problem}` : hook?.state) },
    { header: 'last delivery', value: ({ hook }) => hook?.lastDeliveryAt && age(hook.lastDeliveryAt, now) },
    { header: 'age', value: ({ createdAt }) => age(createdAt, now) },
    { header: 'id', wide: true, value: ({ id }) => id },
    { header: 'runs at a time', wide: true, value: ({ maxActive }) => maxActive },
    { header: 'run namespace', wide: true, value: ({ runNamespace }) => runNamespace },
  ],
})

function describe(found: Project, now: number): string {
  const { hook } = found
  return fields([
    ['Project', found.id],
    ['Repository', `${found.repository} (${found.repositoryId})`],
    ['Forge', `${found.provider} at ${found.instance}`],
    ['State', found.state],
    ['Runs at a time', found.maxActive],
    ['Run namespace', found.runNamespace ?? "the installation's default"],
    ['Age', age(found.createdAt, now)],
    ['Hook', hook?.state ?? "the App's own"],
    ['Hook path', hook?.path],
    ['Hook secret', hook && `key ${hook.secretName} of codex-k8s-hooks`],
    ['Hook problem', hook?.problem],
    ['Last delivery', hook?.lastDeliveryAt && age(hook.lastDeliveryAt, now)],
  ])
}
