import type { Row } from '#shared/db/schema.ts'
import type { GitHub } from '#shared/forge/github/client.ts'
import { ensureLabels } from '#shared/forge/github/labels.ts'
import { repositoryRef } from '#shared/forge/github/repository-ref.ts'
import { labelsOf } from '#shared/workflow/labels.ts'
import { conflict } from './handler.ts'

/** A project as the forge has it. */
export function atForge(github: GitHub) {
  const forge = (project: Row<'projects'>) => {
    const repository = repositoryRef(project, github)
    return { repository, octokit: github.for(repository) }
  }
  const setLabels = (project: Row<'projects'>) => {
    const { repository, octokit } = forge(project)
    return ensureLabels(octokit, repository, labelsOf(project.settings))
  }
  return { forge, setLabels }
}

/** The forge does not show it to us. */
export const repositoryNotFound = conflict(
  'repository_not_found',
  'We do not see this repository at the forge',
  'Look at its name; install the App on it, or invite the machine user.',
)
