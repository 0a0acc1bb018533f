import { PermanentError } from '#shared/errors.ts'

/** The repository that a call is about. Ids are decimal strings. */
export interface RepositoryRef {
  /** `owner/name`. */
  readonly fullName: string
  readonly repositoryId: string
  /** Null for a machine user; an App then asks once which installation covers the repository. */
  readonly installationId: string | null
}

const OWNER = /^[A-Za-z0-9][A-Za-z0-9_-]{0,99}$/
const NAME = /^[A-Za-z0-9._-]{1,100}$/

/** The two path segments of a repository. The URL template encodes all but dots, so `..` has to be refused here. Throws PermanentError. */
export function ownerAndName({ fullName }: RepositoryRef): { owner: string; repo: string } {
  const [owner = '', repo = '', ...rest] = fullName.split('/')
  if (rest.length > 0 || !OWNER.test(owner) || !NAME.test(repo) || /^\.+$/.test(repo)) {
    throw new PermanentError('not a repository name')
  }
  return { owner, repo }
}

/** A numeric id or number of GitHub. Throws PermanentError. */
export function numeric(id: string | number): number {
  const value = Number(id)
  if (!/^[0-9]{1,16}$/.test(String(id)) || !Number.isSafeInteger(value)) throw new PermanentError('not a numeric id')
  return value
}

/** A branch name that git accepts. Throws PermanentError. */
export function branchName(branch: string): string {
  const bad =
    branch.length === 0 ||
    branch.length > 250 ||
    // eslint-disable-next-line no-control-regex
    /[\u0000-\u0020\u007f~^:?*[\\]|\.\.|@\{|\/\/|^[-/.]|\/\.|[/.]$|\.lock(\/|$)|^@$/.test(branch)
  if (bad) throw new PermanentError('not a branch name')
  return branch
}

/** A name that stands alone in a path: a label, a login. Throws PermanentError. */
export function pathName(name: string): string {
  if (name === '' || name.length > 255 || /^\.+$/.test(name)) throw new PermanentError('not a name')
  return name
}
