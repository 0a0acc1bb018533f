import { sql } from 'kysely'
import { crashPoint } from '#shared/crash-point.ts'
import type { Db } from '#shared/db/connect.ts'
import type { Row } from '#shared/db/schema.ts'
import type { Tx } from '#shared/db/transaction.ts'
import { EVENT_TYPES } from '#shared/events/types.ts'
import { writeAs, type Writer } from '#shared/outbox/deliver.ts'
import type { Held } from './decide.ts'
import { badCursor, notFound, recordAct, type Clients, type Operations } from './handler.ts'
import { ByTime, iso, page, readCursor } from './page.ts'
import type { Caller } from './token-review.ts'

/** Every role that somebody has now: by the installation's configuration, by their name, or by one of their groups. */
export async function rolesOf(db: Db, admins: readonly string[], { user, groups }: Caller): Promise<readonly Held[]> {
  const listed = admins.includes(`user:${user}`) || groups.some((group) => admins.includes(`group:${group}`))
  const rows = await db
    .selectFrom('grants')
    .select(['role', 'project_id'])
    .where('revoked_at', 'is', null)
    .where((where) =>
      where.or([
        where.and([where('kind', '=', 'user'), where('name', '=', user)]),
        where.and([where('kind', '=', 'group'), where('name', '=', sql<string>`any(${groups}::text[])`)]),
      ]),
    )
    .execute()
  const granted = rows.map(({ role, project_id: project }) => ({ role, project }))
  return listed ? [{ role: 'admin', project: null }, ...granted] : granted
}

/** Who somebody is, and who may do what. */
export function accessOperations({
  db,
  relay,
}: Clients): Pick<Operations, 'whoami' | 'listGrants' | 'addGrant' | 'revokeGrant'> {
  return {
    whoami: async ({ caller, held }) => ({ user: caller.user, groups: [...caller.groups], roles: [...held] }),

    async listGrants({ query: { limit, cursor } }) {
      const after = cursor === undefined ? undefined : readCursor(ByTime, cursor)
      if (cursor !== undefined && after === undefined) return badCursor
      let rows = db.selectFrom('grants').selectAll().where('revoked_at', 'is', null)
      if (after) rows = rows.where(sql<boolean>`(granted_at, id) < (${after[0]}::timestamptz, ${after[1]}::uuid)`)
      const found = await rows
        .orderBy('granted_at', 'desc')
        .orderBy('id', 'desc')
        .limit(limit + 1)
        .execute()
      const { shown, next } = page(found, limit, (row) => [iso(row.granted_at), row.id])
      return { grants: shown.map(grantOf), next }
    },

    async addGrant({ caller, body }) {
      if (body === undefined) return notFound
      const { kind, name, role, project = null } = body
      if (project !== null) {
        const known = await db.selectFrom('projects').select('id').where('id', '=', project).executeTakeFirst()
        if (known === undefined) return notFound
      }
      const { result, written } = await writeAs(db, 'staff-api', async (writer) => {
        const { tx } = writer
        // One at a time: the role that somebody has here is taken away and the new one given together.
        await sql`select pg_advisory_xact_lock(7236421)`.execute(tx)
        const before = await tx
          .selectFrom('grants')
          .selectAll()
          .where('kind', '=', kind)
          .where('name', '=', name)
          .where('project_id', 'is not distinct from', project)
          .where('revoked_at', 'is', null)
          .executeTakeFirst()
        if (before?.role === role) return before
        const ended = before === undefined ? [] : [await revoke(tx, before.id, caller)]
        const made = await tx
          .insertInto('grants')
          .values({ kind, name, role, project_id: project, granted_by: caller.user })
          .returningAll()
          .executeTakeFirstOrThrow()
        await sayGrants(writer, EVENT_TYPES.accessGranted, made, [...ended, made])
        await recordAct(writer, caller, {
          action: 'access.granted',
          subject: `grants/${made.id}`,
          more: { kind, name, role, project },
        })
        crashPoint('staff.before-grant-commit')
        return made
      })
      crashPoint('staff.after-grant-commit')
      await relay.after(written)
      return { grant: grantOf(result), changed: written.length > 0 }
    },

    async revokeGrant({ caller, path }) {
      const { result, written } = await writeAs(db, 'staff-api', async (writer) => {
        const { tx } = writer
        const before = await tx
          .selectFrom('grants')
          .selectAll()
          .where('id', '=', path.grant)
          .forUpdate()
          .executeTakeFirst()
        if (before === undefined || before.revoked_at !== null) return before
        const ended = await revoke(tx, before.id, caller)
        await sayGrants(writer, EVENT_TYPES.accessRevoked, ended, [ended])
        const { kind, name, role } = ended
        await recordAct(writer, caller, {
          action: 'access.revoked',
          subject: `grants/${ended.id}`,
          more: { kind, name, role },
        })
        return ended
      })
      if (result === undefined) return notFound
      await relay.after(written)
      return { grant: grantOf(result), changed: written.length > 0 }
    },
  }
}

function revoke(tx: Tx, id: string, { user }: Caller): Promise<Row<'grants'>> {
  return tx
    .updateTable('grants')
    .set({ revoked_at: sql`now()`, revoked_by: user })
    .where('id', '=', id)
    .returningAll()
    .executeTakeFirstOrThrow()
}

function sayGrants(
  { emit }: Writer,
  type: (typeof EVENT_TYPES)['accessGranted' | 'accessRevoked'],
  grant: Row<'grants'>,
  rows: readonly Row<'grants'>[],
): Promise<void> {
  return emit({
    type,
    subject: `grants/${grant.id}`,
    extensions: { project: grant.project_id ?? undefined },
    data: { grant: grant.id },
    rows: { grants: rows },
  })
}

function grantOf({ id, kind, name, role, project_id: project, granted_by: grantedBy, granted_at }: Row<'grants'>) {
  return { id, kind, name, role, project, grantedBy, grantedAt: iso(granted_at) }
}
