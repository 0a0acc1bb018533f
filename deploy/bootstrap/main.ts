import { parseArgs } from 'node:util'
import * as v from 'valibot'
import { ConfigError, readConfig, RepositoryName } from './config.ts'
import { connectRepository } from './connect.ts'
import { check, install } from './install.ts'
import { InstallError } from './install-error.ts'
import { KubectlError, kubectlFor } from './kubectl.ts'
import { output, printable } from './output.ts'
import { selfTest } from './self-test.ts'
import { uninstall } from './uninstall.ts'

const USAGE = `usage: npm run bootstrap -- COMMAND [--config FILE]

  check               what the cluster has and lacks; changes nothing
  install             checks, installs or upgrades, connects the repositories of the file, tests itself
  upgrade             the same: an installation is brought to what this version and the file say
  connect OWNER/NAME  connects one repository: project, webhook, labels
  self-test           sends a signed ping and follows it to the ledger
  uninstall --yes     takes everything back; --with-data: also the database of a trial

  --config FILE       default: codex-k8s.yaml; codex-k8s.example.yaml explains every key
  --dry-run           install, upgrade: says what would be done, and does nothing

Ends with 0 when all is done, 1 when something is in the way, 2 when it was called wrongly, 130 after Ctrl-C.`

const out = output()

/** Ctrl-C may come anywhere: every step can be repeated, so there is nothing to put back. */
process.on('SIGINT', () => {
  process.stderr.write('\ninterrupted; run it again to go on\n')
  process.exit(130)
})

process.exitCode = await run(process.argv.slice(2))

async function run(args: readonly string[]): Promise<number> {
  const parsed = parse(args)
  if (parsed === undefined) {
    process.stderr.write(`${USAGE}\n`)
    return 2
  }
  const { values, command, repository } = parsed
  if (values.help) {
    out.line(USAGE)
    return 0
  }
  try {
    const config = readConfig(values.config)
    const kubectl = kubectlFor(config.context)
    if (command === 'check') await check(kubectl, config, out)
    if (command === 'install' || command === 'upgrade')
      await install(kubectl, config, out, { isDry: values['dry-run'] })
    if (command === 'self-test') await selfTest(kubectl, config, out)
    if (command === 'connect') {
      const known = config.repositories.find(({ name }) => name.toLowerCase() === repository.toLowerCase())
      await connectRepository(kubectl, config, known ?? { name: repository }, out)
    }
    if (command === 'uninstall') await uninstall(kubectl, config, out, { withData: values['with-data'] })
    return 0
  } catch (error) {
    process.stderr.write(`${printable(wordsFor(error))}\n`)
    return 1
  }
}

function parse(args: readonly string[]) {
  try {
    const { values, positionals } = parseArgs({
      args: [...args],
      allowPositionals: true,
      options: {
        config: { type: 'string', default: 'codex-k8s.yaml' },
        'dry-run': { type: 'boolean', default: false },
        yes: { type: 'boolean', default: false },
        'with-data': { type: 'boolean', default: false },
        help: { type: 'boolean', short: 'h', default: false },
      },
    })
    const [command = '', repository = '', ...rest] = positionals
    const isKnown = ['check', 'install', 'upgrade', 'self-test', 'connect', 'uninstall'].includes(command)
    const isWhole = (command === 'connect' ? v.is(RepositoryName, repository) : repository === '') && rest.length === 0
    if (command === 'uninstall' && !values.yes && !values.help) {
      process.stderr.write('uninstall takes everything away; say --yes if that is meant\n')
      return undefined
    }
    return values.help || (isKnown && isWhole) ? { values, command, repository } : undefined
  } catch (error) {
    process.stderr.write(`${(error as Error).message}\n`)
    return undefined
  }
}

/** What is wrong and what to do; the stack only of what nobody thought of. */
function wordsFor(error: unknown): string {
  if (error instanceof InstallError) return `Error: ${error.message}\n  ${error.mend}`
  if (error instanceof ConfigError || error instanceof KubectlError) return `Error: ${error.message}`
  return error instanceof Error ? (error.stack ?? error.message) : String(error)
}
