import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { Denied, NotThere } from '#shared/forge/github/failure.ts'
import { findRepository } from '#shared/forge/github/find-repository.ts'
import { ensureHook, removeHook } from '#shared/forge/github/hooks.ts'
import { readOwnActor } from '#shared/forge/github/own-actor.ts'
import { forgetHook, hookPath, rememberHook } from '#shared/project/connect.ts'
import { atForge, repositoryNotFound } from './at-forge.ts'
import { conflict, notFound, type Clients, type Config, type Operations, type Refusal } from './handler.ts'
import { connectProject, disconnectProject } from './project-actions.ts'
import { hooksAtForge, readProject, shownProject } from './project-rows.ts'

/** The line between a repository and us: its webhook, and whether what it brings is accepted. */
export function connectionOperations(
  config: Config,
  { db, relay, github }: Clients,
): Pick<Operations, 'connectProject' | 'removeProject'> {
  const { forge, setLabels } = atForge(github)

  return {
    async connectProject({ caller, path }) {
      const row = await readProject(db, path.project)
      if (row === undefined) return notFound
      if (row.hook_id === null || row.secret_name === null)
        return conflict(
          'no_hook',
          'The project has no hook of its own',
          'The App brings its webhooks; nothing is to be done.',
        )
      if (config.publicUrl === undefined)
        return conflict(
          'no_public_url',
          'The installation does not say where the forge reaches it',
          'Set publicUrl in its configuration.',
        )
      const secret = await readSecret(join(config.secretsDir, row.secret_name))
      if (secret === undefined) return secretNotVisible(row.secret_name)
      const found = await findRepository(github, { kind: config.forgeAuth }, row.full_name)
      if (found?.repositoryId !== row.repository_id) return repositoryNotFound
      const { id: ownActorId } = await readOwnActor(github, { kind: config.forgeAuth })
      const { fullName, installationId } = found
      const now = { ...row, full_name: fullName, installation_id: installationId }
      await setLabels(now)
      // Before the hook is there: its first ping is to be accepted.
      const { instance, repository_id: repositoryId } = row
      const repository = { instance, repositoryId, fullName, installationId, ownActorId }
      const written = await connectProject(db, caller, repository, row.secret_name)
      await relay.after(written)
      const { octokit, repository: ref } = forge(now)
      const url = config.publicUrl + hookPath(row.hook_id)
      const hook = await ensureHook(octokit, ref, { url, secret }).catch(unlessRefused)
      if (hook === undefined)
        return conflict(
          'hook_refused',
          'The forge does not let us make the webhook',
          'Give the App the permission "Repository webhooks: write" and accept it; a machine user needs admin rights.',
        )
      await rememberHook(db, { hookId: row.hook_id }, hook.id)
      return { project: await shownProject(db, row.id), changed: written.length > 0 || row.forge_hook_id !== hook.id }
    },

    async removeProject({ caller, path }) {
      const row = await readProject(db, path.project)
      if (row === undefined) return notFound
      const written = await disconnectProject(db, caller, row.id)
      await relay.after(written)
      const hooks = await hooksAtForge(db, row.id)
      const left: string[] = []
      for (const { id } of hooks) {
        const { repository, octokit } = forge(row)
        const did = await removeHook(octokit, repository, hookPath(id)).catch(unlessRefused)
        if (did === undefined) left.push(hookPath(id))
        await forgetHook(db, id)
      }
      if (left.length > 0) return hookLeft(left)
      return { project: await shownProject(db, row.id), changed: written.length > 0 || hooks.length > 0 }
    },
  }
}

/** Undefined where the forge does not let us, which it says with "not there", too. */
function unlessRefused(error: unknown): undefined {
  if (!(error instanceof Denied || error instanceof NotThere)) throw error
}

const hookLeft = (paths: readonly string[]) =>
  conflict(
    'hook_left',
    'The repository is disconnected, but its webhook may be left at the forge',
    `We may not remove it there. If the repository still exists, take it away by hand: ${paths.join(', ')}.`,
  )

/** A mounted Secret is late in a pod that runs already. */
const secretNotVisible = (name: string): Refusal => ({
  refused: {
    status: 503,
    code: 'secret_not_visible',
    title: 'The secret of the webhook is not there yet',
    detail: `Write the key ${name} into the Secret codex-k8s-hooks; then ask again for up to two minutes.`,
  },
  retryAfterSeconds: 10,
})

async function readSecret(file: string): Promise<string | undefined> {
  const text = await readFile(file, 'utf8').catch(() => '')
  return text === '' ? undefined : text
}
