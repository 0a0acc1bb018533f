import { sql } from 'kysely'
import type { Db } from '#shared/db/connect.ts'
import { RetryLater } from '#shared/errors.ts'
import { hookPath } from '#shared/project/connect.ts'
import { iso, isoOrNull } from './page.ts'

/** Projects with their newest hook and how it does. */
export function selectProjects(db: Db) {
  return db
    .selectFrom('projects')
    .leftJoinLateral(
      (of) =>
        of
          .selectFrom('hooks')
          .leftJoin('hook_checks', 'hook_checks.hook_id', 'hooks.id')
          .select(['hooks.id as hook_id', 'secret_name', 'forge_hook_id', 'problem'])
          .select(
            // The index on the time says where not to look.
            sql<Date | null>`(select max(received_at) from inbox
              where inbox.hook_id = hooks.id and received_at > now() - interval '7 days')`.as('heard_at'),
          )
          .whereRef('hooks.project_id', '=', 'projects.id')
          .orderBy('hooks.created_at', 'desc')
          .orderBy('hooks.id')
          .limit(1)
          .as('hook'),
      (join) => join.onTrue(),
    )
    .selectAll('projects')
    .select(['hook.hook_id', 'hook.secret_name', 'hook.forge_hook_id', 'hook.problem', 'hook.heard_at'])
}

/** A project with its hook, as it was read. */
export type ProjectRow = Awaited<ReturnType<ReturnType<typeof selectProjects>['executeTakeFirstOrThrow']>>

/** A project as the contract shows it. */
export function projectOf(row: ProjectRow) {
  const { runNamespace } = row.settings
  return {
    id: row.id,
    provider: row.provider,
    instance: row.instance,
    repository: row.full_name,
    repositoryId: row.repository_id,
    state: row.state,
    maxActive: row.max_active,
    runNamespace: typeof runNamespace === 'string' ? runNamespace : null,
    createdAt: iso(row.created_at),
    hook:
      row.hook_id === null || row.secret_name === null
        ? null
        : {
            id: row.hook_id,
            path: hookPath(row.hook_id),
            secretName: row.secret_name,
            state: row.forge_hook_id === null ? ('waiting' as const) : ('connected' as const),
            problem: row.problem,
            lastDeliveryAt: isoOrNull(row.heard_at),
          },
  }
}

/** One project as the contract shows it, after it was changed. */
export async function shownProject(db: Db, id: string) {
  const row = await readProject(db, id)
  if (row === undefined) throw new RetryLater('the project is not visible')
  return projectOf(row)
}

/** Hooks of a project that the forge has, as far as we know. */
export function hooksAtForge(db: Db, project: string): Promise<{ id: string }[]> {
  return db
    .selectFrom('hooks')
    .innerJoin('hook_checks', 'hook_checks.hook_id', 'hooks.id')
    .select('hooks.id')
    .where('hooks.project_id', '=', project)
    .orderBy('hooks.created_at')
    .execute()
}

/** One project; undefined when there is none. */
export function readProject(db: Db, id: string): Promise<ProjectRow | undefined> {
  return selectProjects(db).where('projects.id', '=', id).executeTakeFirst()
}
