import { crashPoint } from '#shared/crash-point.ts'
import type { Db } from '#shared/db/connect.ts'
import type { Row } from '#shared/db/schema.ts'
import { writeAs, type Writer } from '#shared/outbox/deliver.ts'
import * as project from '#shared/project/connect.ts'
import { recordAct } from './handler.ts'
import type { Caller } from './token-review.ts'

/** The outcome of an action on a project: nothing was written where nothing changed. */
export interface Changed {
  readonly project: string
  readonly written: readonly string[]
}

/** Takes a repository in, disconnected; or finds that it is in already. */
export async function addProject(db: Db, caller: Caller, repository: project.Repository): Promise<Changed> {
  const { result, written } = await writeAs(db, 'staff-api', async (writer) => {
    const added = await project.addProject(writer, repository)
    if (added.did !== 'unchanged') await act(writer, caller, `project.${added.did}`, added.projectId)
    crashPoint('staff.before-project-commit')
    return added
  })
  crashPoint('staff.after-project-commit')
  return { project: result.projectId, written }
}

/** Connects a repository by the hook that has this secret. */
export async function connectProject(
  db: Db,
  caller: Caller,
  repository: project.Repository,
  secretName: string,
): Promise<readonly string[]> {
  const { written } = await writeAs(db, 'staff-api', async (writer) => {
    const { projectId, did } = await project.connectProject(writer, repository, [secretName])
    if (did !== 'unchanged') await act(writer, caller, 'project.connected', projectId)
  })
  return written
}

/** Removes a repository: what is under way is cancelled. */
export async function disconnectProject(db: Db, caller: Caller, id: string): Promise<readonly string[]> {
  const { written } = await writeAs(db, 'staff-api', async (writer) => {
    const { did } = await project.disconnectProject(writer, id)
    if (did !== 'unchanged') await act(writer, caller, 'project.removed', id)
    crashPoint('staff.before-removal-commit')
  })
  crashPoint('staff.after-removal-commit')
  return written
}

/** Says that labels were made or repaired, which changes no row. */
export async function recordLabels(
  db: Db,
  caller: Caller,
  { id }: Row<'projects'>,
  more: { created: number; repaired: number },
): Promise<readonly string[]> {
  const { written } = await writeAs(db, 'staff-api', (writer) => act(writer, caller, 'labels.synced', id, more))
  return written
}

function act(
  writer: Writer,
  caller: Caller,
  action: string,
  id: string,
  more?: Readonly<Record<string, string | number>>,
): Promise<void> {
  return recordAct(writer, caller, { action, subject: `projects/${id}`, project: id, ...(more && { more }) })
}
