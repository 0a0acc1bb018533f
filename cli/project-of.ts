import { Failure } from './failure.ts'
import type { Answer, StaffApi } from './staff-api.ts'

type Project = Answer<'getProject'>

/** An id as the API makes them. */
export const isId = (text: string) => /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i.test(text)

/** The project that a person means: its id, or `owner/name` of its repository. */
export async function projectOf(staff: StaffApi, meant: string): Promise<Project> {
  if (isId(meant)) return staff('getProject', { path: { project: meant } })
  const { projects } = await staff('listProjects', { query: { repository: meant } })
  const connected = projects.filter(({ state }) => state === 'connected')
  const [found, another] = connected.length > 0 ? connected : projects
  if (found === undefined)
    throw new Failure(
      `project "${meant}" not found`,
      'See `kn codex project list`; connect it with `kn codex project add`.',
    )
  if (another !== undefined)
    throw new Failure(`"${meant}" is more than one project`, 'Say which by its id: `kn codex project list`.')
  return found
}

/** The id of the project that a person means, if they named one. */
export async function projectIdOf(staff: StaffApi, meant: string | undefined): Promise<string | undefined> {
  if (meant === undefined || isId(meant)) return meant
  return (await projectOf(staff, meant)).id
}
