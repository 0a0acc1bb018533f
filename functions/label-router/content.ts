import type { TaskContent } from '#shared/job/bundle.ts'
import { labelGroup, renamesIn } from '#shared/workflow/labels.ts'
import type { Current } from './decide.ts'
import type { Comment, Project } from './handler.ts'
import type { Place } from './manifest.ts'

/** What people wrote, as data. Half a surrogate pair has no canonical form, and no bytes that an agent could read. */
export function contentOf(
  text: { readonly title: string; readonly body: string } | undefined,
  comments: readonly Comment[],
): TaskContent {
  return {
    title: (text?.title ?? '').toWellFormed(),
    body: (text?.body ?? '').toWellFormed(),
    comments: comments.map(({ author, createdAt, body }) => ({ author, createdAt, body: body.toWellFormed() })),
  }
}

/** When a comment was last changed, and whether it was since it was written. */
export function editOf({ createdAt, updatedAt }: Pick<Comment, 'createdAt' | 'updatedAt'>) {
  return { updatedAt: new Date(updatedAt), edited: updatedAt !== createdAt }
}

/** Default names of the labels that mean something to us. */
export function knownIn(project: Project, names: readonly string[]): string[] {
  return names.flatMap((name) => labelGroup(name, renamesIn(project.settings))?.label ?? [])
}

/** The repository as a bundle names it. */
export function repositoryOf(project: Project): Place['repository'] {
  return {
    provider: project.provider,
    instance: project.instance,
    id: project.repository_id,
    fullName: project.full_name,
  }
}

/** What the forge shows, if it is the subject that was meant: a number says less than an id once a repository was replaced. */
export function currentOf(
  project: Project,
  subjectId: string,
  shown: (Current & { id: string }) | undefined,
): Current | undefined {
  if (shown === undefined || shown.id !== subjectId) return undefined
  return { ...shown, labels: knownIn(project, shown.labels) }
}
