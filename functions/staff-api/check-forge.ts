import { RetryLater } from '#shared/errors.ts'
import { findRepository } from '#shared/forge/github/find-repository.ts'
import { failed, ok, type Finding } from './finding.ts'
import type { Clients, Config } from './handler.ts'

/** What the App needs, by GitHub's names; the last so that missed deliveries can be asked for again. */
const NEEDED: Readonly<Record<string, 'read' | 'write'>> = {
  contents: 'write',
  issues: 'write',
  pull_requests: 'write',
  repository_hooks: 'write',
}

/** Repositories that are looked at, the newest. */
const MOST = 5

/** Whether the forge answers, shows us the repositories, and gives us what we need there. */
export async function forgeCheck(
  { forgeAuth }: Pick<Config, 'forgeAuth'>,
  { db, github }: Pick<Clients, 'db' | 'github'>,
): Promise<Finding> {
  const projects = await db
    .selectFrom('projects')
    .select(['full_name', 'repository_id'])
    .where('state', '=', 'connected')
    .where('instance', '=', github.instance)
    .orderBy('created_at', 'desc')
    .limit(MOST)
    .execute()
  try {
    if (projects.length === 0) await github.self().request(forgeAuth === 'app' ? 'GET /app' : 'GET /user')
    for (const { full_name: name, repository_id: id } of projects) {
      const found = await findRepository(github, { kind: forgeAuth }, name)
      if (found?.repositoryId !== id)
        return failed(
          `The forge does not show us ${name}.`,
          'Install the App on it, invite the machine user, or remove the project if it was renamed or deleted.',
        )
      const { permissions } = found
      const missing = permissions && Object.keys(NEEDED).filter((each) => permissions[each] !== NEEDED[each])
      if (missing !== undefined && missing.length > 0)
        return failed(
          `On ${name} the App lacks write access to: ${missing.join(', ')}.`,
          'Give the App these permissions, then accept them for the installation.',
        )
    }
  } catch (error) {
    if (!(error instanceof RetryLater)) throw error
    return failed(
      'The forge does not answer us.',
      'Is it reachable from the cluster, and are the credentials in the Secret codex-k8s-forge right? See the log.',
    )
  }
  const said = projects.length === 0 ? 'no repository is connected' : `${projects.length} repositories were looked at`
  return ok(`The forge answers; ${said}.`)
}
