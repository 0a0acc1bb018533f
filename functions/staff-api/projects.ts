import { sql } from 'kysely'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { Row } from '#shared/db/schema.ts'
import { RetryLater } from '#shared/errors.ts'
import { Denied, NotThere } from '#shared/forge/github/failure.ts'
import { findRepository } from '#shared/forge/github/find-repository.ts'
import { ensureHook, pingHook, removeHook } from '#shared/forge/github/hooks.ts'
import { ensureLabels } from '#shared/forge/github/labels.ts'
import { readOwnActor } from '#shared/forge/github/own-actor.ts'
import { repositoryRef } from '#shared/forge/github/repository-ref.ts'
import { forgetHook, hookPath, rememberHook } from '#shared/project/connect.ts'
import { labelsOf } from '#shared/workflow/labels.ts'
import { badCursor, conflict, notFound, type Clients, type Config, type Operations, type Refusal } from './handler.ts'
import { ByTime, iso, page, readCursor } from './page.ts'
import { readPing } from './ping.ts'
import { addProject, connectProject, disconnectProject, recordLabels } from './project-actions.ts'
import { hooksAtForge, projectOf, readProject, selectProjects } from './project-rows.ts'

type ProjectOperations = Pick<
  Operations,
  | 'listProjects'
  | 'addProject'
  | 'getProject'
  | 'removeProject'
  | 'connectProject'
  | 'syncLabels'
  | 'pingProject'
  | 'getPing'
>

/** Repositories: taking them in, connecting them, and whether their webhooks arrive. */
export function projectOperations(config: Config, { db, relay, github }: Clients): ProjectOperations {
  const shown = async (id: string) => {
    const row = await readProject(db, id)
    if (row === undefined) throw new RetryLater('the project is not visible')
    return projectOf(row)
  }
  const forge = (project: Row<'projects'>) => {
    const repository = repositoryRef(project, github)
    return { repository, octokit: github.for(repository) }
  }
  const setLabels = (project: Row<'projects'>) => {
    const { repository, octokit } = forge(project)
    return ensureLabels(octokit, repository, labelsOf(project.settings))
  }

  return {
    async listProjects({ sees, query: { limit, cursor, state, repository } }) {
      const after = cursor === undefined ? undefined : readCursor(ByTime, cursor)
      if (cursor !== undefined && after === undefined) return badCursor
      let rows = selectProjects(db)
      if (sees !== 'all') rows = rows.where('projects.id', '=', sql<string>`any(${sees}::uuid[])`)
      if (state !== undefined) rows = rows.where('projects.state', '=', state)
      if (repository !== undefined) rows = rows.where(sql<boolean>`lower(full_name) = lower(${repository})`)
      if (after)
        rows = rows.where(
          sql<boolean>`(projects.created_at, projects.id) < (${after[0]}::timestamptz, ${after[1]}::uuid)`,
        )
      const found = await rows
        .orderBy('projects.created_at', 'desc')
        .orderBy('projects.id', 'desc')
        .limit(limit + 1)
        .execute()
      const { shown: some, next } = page(found, limit, (row) => [iso(row.created_at), row.id])
      return { projects: some.map(projectOf), next }
    },

    async getProject({ path }) {
      const row = await readProject(db, path.project)
      return row === undefined ? notFound : projectOf(row)
    },

    async addProject({ caller, body }) {
      if (body === undefined) return notFound
      const { repository: name, maxActive, runNamespace } = body
      if (runNamespace !== undefined && !config.runNamespaces.includes(runNamespace))
        return conflict(
          'run_namespace_unknown',
          'The installation has no such run namespace',
          `It has ${config.runNamespaces.join(', ') || 'none'}.`,
        )
      const found = await findRepository(github, { kind: config.forgeAuth }, name)
      if (found === undefined) return repositoryNotFound
      const { id: ownActorId } = await readOwnActor(github, { kind: config.forgeAuth })
      const { project, written } = await addProject(db, caller, {
        instance: github.instance,
        repositoryId: found.repositoryId,
        fullName: found.fullName,
        installationId: found.installationId,
        ownActorId,
        maxActive,
        settings: runNamespace === undefined ? undefined : { runNamespace },
      })
      await relay.after(written)
      return { project: await shown(project), changed: written.length > 0 }
    },

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
      return { project: await shown(row.id), changed: written.length > 0 || row.forge_hook_id !== hook.id }
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
      return { project: await shown(row.id), changed: written.length > 0 || hooks.length > 0 }
    },

    async syncLabels({ caller, path }) {
      const row = await readProject(db, path.project)
      if (row === undefined) return notFound
      const { created, repaired, unchanged } = await setLabels(row)
      if (created.length + repaired.length > 0) {
        const counts = { created: created.length, repaired: repaired.length }
        await relay.after(await recordLabels(db, caller, row, counts))
      }
      return { created: [...created], repaired: [...repaired], unchanged }
    },

    async pingProject({ path }) {
      const row = await readProject(db, path.project)
      if (row === undefined) return notFound
      const { now } = (await sql<{ now: Date }>`select now()::timestamptz(3) as now`.execute(db)).rows[0] as {
        now: Date
      }
      const { repository, octokit } = forge(row)
      const asked = row.forge_hook_id === null ? 'gone' : await pingHook(octokit, repository, row.forge_hook_id)
      return asked === 'gone' ? hookMissing : { askedAt: iso(now) }
    },

    getPing: ({ path, query }) => readPing(db, path.project, query.since),
  }
}

const repositoryNotFound = conflict(
  'repository_not_found',
  'We do not see this repository at the forge',
  'Look at its name; install the App on it, or invite the machine user.',
)

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

const hookMissing = conflict(
  'hook_missing',
  'The forge does not have our webhook',
  'Connect the project again: POST /v1/projects/{project}/connect.',
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
