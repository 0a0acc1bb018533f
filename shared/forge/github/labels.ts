import type { Octokit } from '@octokit/core'
import { numeric, ownerAndName, pathName } from './address.ts'
import type { RepositoryRef } from './address.ts'
import { REPEATABLE } from './client.ts'
import { Refused, found } from './failure.ts'
import { forward, PER_PAGE } from './pages.ts'

/** A label of a repository. */
export interface Label {
  readonly name: string
  /** Six hex digits, no `#`. */
  readonly color: string
  /** At most 100 characters. */
  readonly description: string
}

/** Set labels on a subject; those that are there already stay. `gone`: no such subject. */
export async function addLabels(
  octokit: Octokit,
  repository: RepositoryRef,
  number: number,
  labels: readonly string[],
): Promise<'added' | 'gone'> {
  if (labels.length === 0) return 'added'
  const address = { ...ownerAndName(repository), issue_number: numeric(number) }
  const request = { ...address, labels: [...labels], request: REPEATABLE }
  const data = await found(octokit.request('POST /repos/{owner}/{repo}/issues/{issue_number}/labels', request))
  return data === undefined ? 'gone' : 'added'
}

/** Take a label off a subject. One that is not there is a success. */
export async function removeLabel(
  octokit: Octokit,
  repository: RepositoryRef,
  number: number,
  label: string,
): Promise<void> {
  const address = { ...ownerAndName(repository), issue_number: numeric(number), name: pathName(label) }
  await found(octokit.request('DELETE /repos/{owner}/{repo}/issues/{issue_number}/labels/{name}', address))
}

/** Create a label of the repository, or repair its colour and description. */
export async function ensureLabel(
  octokit: Octokit,
  repository: RepositoryRef,
  label: Label,
): Promise<'created' | 'repaired' | 'unchanged'> {
  const address = { ...ownerAndName(repository), name: pathName(label.name) }
  const { color, description } = label
  const existing = await found(octokit.request('GET /repos/{owner}/{repo}/labels/{name}', address))
  if (existing === undefined) {
    try {
      await octokit.request('POST /repos/{owner}/{repo}/labels', {
        ...address,
        color,
        description,
        request: REPEATABLE,
      })
      return 'created'
    } catch (error) {
      // Created meanwhile, or by the first of two attempts.
      if (error instanceof Refused && /already_exists/.test(error.message)) return 'unchanged'
      throw error
    }
  }
  if (existing.color.toLowerCase() === color.toLowerCase() && (existing.description ?? '') === description)
    return 'unchanged'
  await octokit.request('PATCH /repos/{owner}/{repo}/labels/{name}', { ...address, color, description })
  return 'repaired'
}

/** Labels that were created, whose colour or description was repaired, and how many were as they should be. */
export interface LabelsSynced {
  readonly created: readonly string[]
  readonly repaired: readonly string[]
  readonly unchanged: number
}

/** Create the labels that a repository lacks and repair the others; what it has besides is its own. */
export async function ensureLabels(
  octokit: Octokit,
  repository: RepositoryRef,
  labels: readonly Label[],
): Promise<LabelsSynced> {
  const address = ownerAndName(repository)
  const list = forward((page) =>
    octokit.request('GET /repos/{owner}/{repo}/labels', { ...address, per_page: PER_PAGE, page }),
  )
  const there = new Map<string, { color: string; description: string | null }>()
  for await (const { name, color, description } of list) there.set(name.toLowerCase(), { color, description })
  const synced = { created: [] as string[], repaired: [] as string[], unchanged: 0 }
  for (const label of labels) {
    const before = there.get(label.name.toLowerCase())
    const same = before?.color.toLowerCase() === label.color.toLowerCase() && before.description === label.description
    const outcome = same ? 'unchanged' : await ensureLabel(octokit, repository, label)
    if (outcome === 'unchanged') synced.unchanged += 1
    else synced[outcome].push(label.name)
  }
  return synced
}
