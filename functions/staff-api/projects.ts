import { sql } from 'kysely'
import { findRepository } from '#shared/forge/github/find-repository.ts'
import { pingHook } from '#shared/forge/github/hooks.ts'
import { readOwnActor } from '#shared/forge/github/own-actor.ts'
import { atForge, repositoryNotFound } from './at-forge.ts'
import { badCursor, conflict, notFound, type Clients, type Config, type Operations } from './handler.ts'
import { one } from './one.ts'
import { ByTime, iso, page, readCursor } from './page.ts'
import { readPing } from './ping.ts'
import { addProject, recordLabels } from './project-actions.ts'
import { projectOf, readProject, selectProjects, shownProject } from './project-rows.ts'

/** Repositories: taking them in, their labels, and whether their webhooks arrive. */
export function projectOperations(
  config: Config,
  { db, relay, github }: Clients,
): Pick<Operations, 'listProjects' | 'addProject' | 'getProject' | 'syncLabels' | 'pingProject' | 'getPing'> {
  const { forge, setLabels } = atForge(github)

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
      return { project: await shownProject(db, project), changed: written.length > 0 }
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
      const { now } = await one<{ now: Date }>(db, sql`select now()::timestamptz(3) as now`)
      const { repository, octokit } = forge(row)
      const asked = row.forge_hook_id === null ? 'gone' : await pingHook(octokit, repository, row.forge_hook_id)
      return asked === 'gone' ? hookMissing : { askedAt: iso(now) }
    },

    getPing: ({ path, query }) => readPing(db, path.project, query.since),
  }
}

const hookMissing = conflict(
  'hook_missing',
  'The forge does not have our webhook',
  'Connect the project again: POST /v1/projects/{project}/connect.',
)
