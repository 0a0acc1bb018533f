import { spawnSync } from 'node:child_process'
import { delimiter, dirname } from 'node:path'
import { fileURLToPath } from 'node:url'
import { account } from './postgres-install.ts'
import { ensureCodex, probeSandbox } from './codex.ts'
import type { FunctionsOptions } from './functions.ts'

const path = (name: string) => fileURLToPath(new URL(`../../${name}`, import.meta.url))

/** Whom agents run as where we are root: not the account of the database, whose files it may read. */
const agentAccount = { uid: 65_532, gid: 65_532 }

/** Prepares the place where agents work: the CLI, its sandbox, the account. Throws one line when a real model would run unlocked. */
export async function prepareAgents(
  jobsDir: string,
  { realModel, unsafeNoSandbox }: { readonly realModel: boolean; readonly unsafeNoSandbox: boolean },
  say: (line: string) => void,
): Promise<FunctionsOptions['launcher']> {
  const { binary, version } = await ensureCodex(say)
  const locked = await probeSandbox(binary)
  if (!locked && realModel && !unsafeNoSandbox) {
    throw new Error(
      'the agent cannot be locked in here (user namespaces are not allowed): allow them, or start with --unsafe-no-sandbox on a machine you can lose',
    )
  }
  if (!locked)
    say(
      `the agent runs without a sandbox here: ${realModel ? 'you said so' : 'the model is scripted and does what its script says'}`,
    )
  const main = path('agent/main.ts')
  const user = account !== undefined && readable([main, binary], agentAccount) ? agentAccount : undefined
  if (account !== undefined && user === undefined) say('agents run as root: another account cannot read this folder')
  say(`agent: ${version}${user === undefined ? '' : `, as user ${user.uid}`}${locked ? ', in its sandbox' : ''}`)
  return {
    directory: jobsDir,
    supervisor: path('functions/stage-dispatcher/supervise.ts'),
    command: [process.execPath, main],
    env: {
      CODEX_BINARY: binary,
      SANDBOX: locked ? 'workspace-write' : 'none',
      // Node for projects that need one, before whatever the machine has.
      PATH: [dirname(process.execPath), path('node_modules/.bin'), process.env['PATH'] ?? '/usr/bin:/bin'].join(
        delimiter,
      ),
      LANG: 'C.UTF-8',
    },
    user,
  }
}

function readable(files: readonly string[], user: { readonly uid: number; readonly gid: number }): boolean {
  const script = `for (const file of ${JSON.stringify(files)}) require('fs').accessSync(file)`
  return spawnSync(process.execPath, ['-e', script], { ...user, stdio: 'ignore', cwd: '/' }).status === 0
}
