import { age } from '../age.ts'
import type { KnCommand } from '../kn-command.ts'
import { sessionOf, withList, withOutput, type LimitOption, type PrintOptions } from '../options.ts'
import { single, type Listing } from '../output.ts'
import { firstOf } from '../pages.ts'
import { printList } from '../print-list.ts'
import { projectIdOf } from '../project-of.ts'
import type { Answer } from '../staff-api.ts'
import { fields } from '../table.ts'
import type { Terminal } from '../terminal.ts'

type Grant = Answer<'listGrants'>['grants'][number]
type Person = Answer<'whoami'>

/** `kn codex grants`: who may do what. */
export function grants(group: KnCommand, terminal: Terminal): void {
  withList(group.command('list'))
    .description('List the roles that were given, besides the admins that the installation names')
    .action(async (options: PrintOptions & LimitOption, command: KnCommand) => {
      const staff = await sessionOf(command, terminal).staff()
      const found = await firstOf(options.limit, async (part) => {
        const { grants: items, next } = await staff('listGrants', { query: part })
        return { items, next }
      })
      printList(terminal, options, found, grantList(terminal.now()))
    })

  withOutput(group.command('add'))
    .description('Give a user or group of the cluster a role, in the place of the one it has there')
    .argument('<role>', 'viewer, operator or admin')
    .argument('<name>', 'user name, or group with --group')
    .option('--group', 'the name is that of a group')
    .option('--project <project>', 'on this project only: owner/name or id; default: on all, also those to come')
    .action(async (role: Grant['role'], name: string, options: AddOptions, command: KnCommand) => {
      const staff = await sessionOf(command, terminal).staff()
      const project = await projectIdOf(staff, options.project)
      const kind = options.group ? 'group' : 'user'
      const answer = await staff('addGrant', { body: { kind, name, role, ...(project !== undefined && { project }) } })
      const { id } = answer.grant
      terminal.out(
        single(options.output, answer, `grant/${id}`, () =>
          answer.changed ? `Grant '${id}' made: ${kind} ${name} is ${role}.\n` : `Grant '${id}' was there before.\n`,
        ),
      )
    })

  withOutput(group.command('remove'))
    .description('Take a role away')
    .argument('<grant>', 'id of the grant')
    .action(async (grant: string, options: PrintOptions, command: KnCommand) => {
      const staff = await sessionOf(command, terminal).staff()
      const answer = await staff('revokeGrant', { path: { grant } })
      terminal.out(
        single(options.output, answer, `grant/${grant}`, () =>
          answer.changed ? `Grant '${grant}' taken away.\n` : `Grant '${grant}' was taken away before.\n`,
        ),
      )
    })
}

/** `kn codex whoami`. */
export function whoami(command: KnCommand, terminal: Terminal): void {
  withOutput(command)
    .description('Show who your token says you are, and what you may')
    .action(async (options: PrintOptions, own: KnCommand) => {
      const staff = await sessionOf(own, terminal).staff()
      const person = await staff('whoami')
      terminal.out(single(options.output, person, `user/${person.user}`, () => describe(person)))
    })
}

interface AddOptions extends PrintOptions {
  readonly group?: true
  readonly project?: string
}

const describe = ({ user, groups, roles }: Person) =>
  fields([
    ['User', user],
    ['Groups', groups.join(', ')],
    ...roles.map(({ role, project }) => ['Role', `${role} on ${project ?? 'all projects'}`] as const),
    ...(roles.length === 0 ? [['Role', 'none: ask an admin for one'] as const] : []),
  ])

const grantList = (now: number): Listing<Grant> => ({
  none: 'No grants found.',
  name: ({ id }) => `grant/${id}`,
  columns: [
    { header: 'id', value: ({ id }) => id },
    { header: 'kind', value: ({ kind }) => kind },
    { header: 'name', value: ({ name }) => name },
    { header: 'role', value: ({ role }) => role },
    { header: 'project', value: ({ project }) => project ?? 'all' },
    { header: 'age', value: ({ grantedAt }) => age(grantedAt, now) },
    { header: 'by', wide: true, value: ({ grantedBy }) => grantedBy },
  ],
})
