import * as v from 'valibot'
import { connect } from '#shared/db/connect.ts'
import { readEnv } from '#shared/env.ts'
import { awaitPing } from './await-ping.ts'
import { connectAtForge, disconnectAtForge, type Step } from './projects.ts'

// A Job's program: what an installation has to do beside its functions, where the database and the forge's credentials are.
//
//   connect OWNER/NAME      project, webhook and labels of a repository
//   disconnect [OWNER/NAME] takes the webhooks of one or all away; their projects start nothing more
//   await-ping DELIVERY     says `ready`, then follows the ping with this id to the ledger
//
// Each step is a JSON line on stdout. Ends with 0, or with 1 and a last line that says what is wrong and what to do.

const say = (step: Step | { readonly problem: string; readonly mend: string }) =>
  void process.stdout.write(`${JSON.stringify(step)}\n`)

const { DATABASE_URL: url } = readEnv(v.object({ DATABASE_URL: v.pipe(v.string(), v.startsWith('postgres')) }))
const db = connect(url, { name: 'setup', max: 2 })
const [command, subject] = process.argv.slice(2)
try {
  process.exitCode = await run()
} catch (error) {
  say({
    problem: (error as Error).message,
    mend: 'try again; nothing was left half done that the next try does not mend',
  })
  process.exitCode = 1
} finally {
  await db.destroy()
}

async function run(): Promise<number> {
  if (command === 'await-ping') return awaitPing(db, subject ?? '', say)
  const env = readEnv(
    v.object({
      GITHUB_URL: v.string(),
      FORGE_AUTH_DIR: v.string(),
      // Only to connect: where the forge reaches the gateway, the secret's name and folder, and the project's own settings.
      PUBLIC_URL: v.optional(v.string(), ''),
      SECRETS_DIR: v.optional(v.string(), ''),
      SECRET_NAME: v.optional(v.string(), ''),
      MAX_ACTIVE: v.optional(v.pipe(v.string(), v.toNumber())),
      SETTINGS: v.optional(v.pipe(v.string(), v.parseJson(), v.record(v.string(), v.unknown()))),
    }),
  )
  const at = { db, instance: env.GITHUB_URL, authDir: env.FORGE_AUTH_DIR, say }
  if (command === 'disconnect') return disconnectAtForge(at, subject)
  if (command !== 'connect')
    throw new Error('usage: connect OWNER/NAME | disconnect [OWNER/NAME] | await-ping DELIVERY')
  return connectAtForge(at, {
    fullName: subject ?? '',
    publicUrl: env.PUBLIC_URL,
    secretsDir: env.SECRETS_DIR,
    secretName: env.SECRET_NAME,
    maxActive: env.MAX_ACTIVE,
    settings: env.SETTINGS,
  })
}
