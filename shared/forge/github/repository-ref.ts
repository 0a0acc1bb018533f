import { PermanentError } from '#shared/errors.ts'
import type { RepositoryRef } from './address.ts'
import type { GitHub } from './client.ts'

/** The repository of a project's row, for calls on this client. Throws PermanentError for a project of another instance. */
export function repositoryRef(
  project: {
    readonly id: string
    readonly provider: string
    readonly instance: string
    readonly full_name: string
    readonly repository_id: string
    readonly installation_id: string | null
  },
  github: GitHub,
): RepositoryRef {
  if (project.provider !== 'github' || new URL(project.instance).origin !== new URL(github.instance).origin) {
    throw new PermanentError(
      `project ${project.id} is on ${project.instance}, which this installation is not configured for`,
    )
  }
  return { fullName: project.full_name, repositoryId: project.repository_id, installationId: project.installation_id }
}
