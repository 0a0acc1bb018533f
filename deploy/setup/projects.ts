import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { Db } from '#shared/db/connect.ts'
import { sharedPace } from '#shared/db/pace.ts'
import { readGitHubAuth } from '#shared/forge/github/auth-directory.ts'
import { createGitHub } from '#shared/forge/github/client.ts'
import { findRepository } from '#shared/forge/github/find-repository.ts'
import { ensureHook, HOOK_EVENTS, removeHook } from '#shared/forge/github/hooks.ts'
import { ensureLabels } from '#shared/forge/github/labels.ts'
import { readOwnActor } from '#shared/forge/github/own-actor.ts'
import { createLog } from '#shared/log.ts'
import { writeAs } from '#shared/outbox/deliver.ts'
import { connectProject, disconnectProject, forgetHook, hookPath, rememberHook } from '#shared/project/connect.ts'
import { labelsOf } from '#shared/workflow/labels.ts'

/** What was done to one thing. */
export interface Step {
  readonly what: string
  readonly did: string
}

/** Where the projects are, and who hears of what is done. */
export interface At {
  readonly db: Db
  /** Root of the forge's API. */
  readonly instance: string
  readonly authDir: string
  say(step: Step | { readonly problem: string; readonly mend: string }): void
}

/** A repository to connect. */
export interface Wanted {
  readonly fullName: string
  /** Where the forge reaches webhook-gateway. */
  readonly publicUrl: string
  readonly secretsDir: string
  /** File in the secrets' folder. */
  readonly secretName: string
  readonly maxActive: number | undefined
  readonly settings: Readonly<Record<string, unknown>> | undefined
}

/** Project row, webhook, labels: each made, adopted or left as it is. Returns the exit code. */
export async function connectAtForge({ db, instance, authDir, say }: At, wanted: Wanted): Promise<number> {
  const { auth, github } = forgeAt(db, instance, authDir)
  const repository = await findRepository(github, auth, wanted.fullName)
  if (repository === undefined) {
    const mend =
      auth.kind === 'app'
        ? 'install the GitHub App on it, then connect it again'
        : 'give the machine user access to it, then connect it again'
    say({ problem: `${wanted.fullName} is not there, or not for us to see`, mend })
    return 1
  }
  const own = await readOwnActor(github, auth)
  const { maxActive, settings } = wanted
  const project = { ...repository, instance, ownActorId: own.id, maxActive, settings }
  const others = (await readdir(wanted.secretsDir)).filter((name) => /^[a-z0-9]/.test(name))
  const { result: connected } = await writeAs(db, 'setup', (writer) =>
    connectProject(writer, project, [wanted.secretName, ...others]),
  )
  const secret = await readFile(join(wanted.secretsDir, connected.secretName), 'utf8')
  say({ what: `project ${repository.fullName}`, did: connected.did })

  const octokit = github.for(repository)
  const url = wanted.publicUrl + hookPath(connected.hookId)
  try {
    const hook = await ensureHook(octokit, repository, { url, secret })
    await rememberHook(db, connected, hook.id)
    say({ what: `webhook ${url}`, did: hook.did })
    const { created, repaired, unchanged } = await ensureLabels(octokit, repository, labelsOf(connected.settings))
    say({ what: 'labels', did: `${created.length} created, ${repaired.length} repaired, ${unchanged} unchanged` })
    return 0
  } catch (error) {
    say({
      problem: (error as Error).message,
      mend:
        'allow the App "Webhooks: write" and "Issues: write" (a token: admin:repo_hook, repo) and connect again; or make the ' +
        `webhook by hand: ${url}, application/json, events ${HOOK_EVENTS.join(', ')}, secret: key ${connected.secretName} of Secret codex-k8s-hooks`,
    })
    return 1
  }
}

/** Webhooks away, then the projects are connected no more. A forge that does not let us is said, and stops nothing. */
export async function disconnectAtForge({ db, instance, authDir, say }: At, fullName?: string): Promise<number> {
  const { github } = forgeAt(db, instance, authDir)
  const rows = await db
    .selectFrom('projects')
    .leftJoin('hooks', 'hooks.project_id', 'projects.id')
    .select(['projects.id', 'full_name', 'repository_id', 'installation_id', 'hooks.id as hook'])
    .where('projects.instance', '=', instance)
    .where('state', '=', 'connected')
    .$if(fullName !== undefined, (query) => query.where('full_name', '=', fullName ?? ''))
    .execute()
  for (const { full_name, repository_id, installation_id, hook } of rows) {
    const repository = { fullName: full_name, repositoryId: repository_id, installationId: installation_id }
    // The App brings the webhooks of a repository that has none of its own.
    if (hook === null) continue
    const path = hookPath(hook)
    try {
      say({ what: `webhook of ${full_name}`, did: await removeHook(github.for(repository), repository, path) })
      await forgetHook(db, hook)
    } catch (error) {
      const did = `left at the forge (${(error as Error).message}): remove ${path} there by hand`
      say({ what: `webhook of ${full_name}`, did })
    }
  }
  for (const id of new Set(rows.map((row) => row.id)))
    await writeAs(db, 'setup', (writer) => disconnectProject(writer, id))
  return 0
}

function forgeAt(db: Db, instance: string, authDir: string) {
  const auth = readGitHubAuth(authDir)
  return {
    auth,
    github: createGitHub({ instance, auth, log: createLog('setup', 'silent'), pace: sharedPace(db, instance) }),
  }
}
