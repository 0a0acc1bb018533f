import type { Row } from '#shared/db/schema.ts'
import { PermanentError } from '#shared/errors.ts'
import type { RepositoryRef } from './address.ts'
import type { GitHub } from './client.ts'

/** The repository of a project, for calls on this client. Throws PermanentError for a project of another instance. */
export function repositoryRef(project: Row<'projects'>, github: GitHub): RepositoryRef {
  if (project.provider !== 'github' || new URL(project.instance).origin !== new URL(github.instance).origin) {
    throw new PermanentError(`project ${project.id} is on ${project.instance}, which this installation is not configured for`)
  }
  return { fullName: project.full_name, repositoryId: project.repository_id, installationId: project.installation_id }
}
