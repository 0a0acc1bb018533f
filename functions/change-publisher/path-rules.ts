import { Buffer } from 'node:buffer'
import type { Problem } from './finding.ts'

/** Longest name that common file systems hold, and longest path that git's tools pass on, in bytes of UTF-8. */
const MAX_SEGMENT_BYTES = 255
const MAX_PATH_BYTES = 4096

const control = /[\p{Cc}\p{Zl}\p{Zp}]/u
/** What takes no room on a screen or turns the text around: bidi controls, zero-width characters, variation selectors. */
const hidden = /[\p{Cf}\p{Default_Ignorable_Code_Point}]/u
const allHidden = new RegExp(hidden, 'gu')
const reserved = /^(?:con|prn|aux|nul|conin\$|conout\$|com[\d¹²³]|lpt[\d¹²³]) *(?:\.|$)/i
/** `GITMOD~1`: the second name that NTFS gives to a file with a longer one. */
const shortName = /^[^.]{1,6}~\d+(?:\.[^.]{0,3})?$/

/**
 * What is wrong with one path on its own. `known` says that the base has exactly this path: then it need not be
 * portable, because a repository that lives with `aux.c` may have it edited.
 */
export function pathProblem(path: string, known: boolean): Problem | undefined {
  if (!path.isWellFormed()) return { code: 'path_malformed', detail: 'is not valid Unicode' }
  if (control.test(path)) return { code: 'path_malformed', detail: 'contains a control character or a line break' }
  if (Buffer.byteLength(path) > MAX_PATH_BYTES)
    return { code: 'path_too_long', detail: `is longer than ${MAX_PATH_BYTES} bytes` }
  if (path.includes('\\')) return { code: 'path_outside', detail: 'contains a backslash' }
  if (/^[a-z]:/i.test(path)) return { code: 'path_outside', detail: 'starts with a drive letter' }
  const segments = path.split('/')
  for (const segment of segments) {
    if (segment === '' || segment === '.' || segment === '..') {
      return { code: 'path_outside', detail: 'is absolute, leaves the repository or has an empty part' }
    }
    if (isGitMetadata(segment))
      return { code: 'path_git_metadata', detail: "is, on some file systems, the repository's own .git" }
    if (Buffer.byteLength(segment) > MAX_SEGMENT_BYTES) {
      return { code: 'path_too_long', detail: `has a part of more than ${MAX_SEGMENT_BYTES} bytes` }
    }
  }
  if (hidden.test(path)) return { code: 'path_deceptive', detail: 'contains characters that cannot be seen' }
  return known ? undefined : portabilityProblem(path, segments)
}

/** One key for all spellings that some file system takes for the same path. */
export function fold(path: string): string {
  return path.toUpperCase().toLowerCase().normalize('NFC')
}

/** The folders a path lies in, innermost first. */
export function foldersOf(path: string): string[] {
  const folders: string[] = []
  for (let end = path.lastIndexOf('/'); end > 0; end = path.lastIndexOf('/', end - 1)) folders.push(path.slice(0, end))
  return folders
}

/** As git's own `core.protectHFS` and `core.protectNTFS`: hidden characters, a stream name, dots and blanks at the end do not count. */
function isGitMetadata(segment: string): boolean {
  const [name = ''] = fold(segment.replace(allHidden, '')).split(':')
  return /^(?:\.git|git~\d+)[. ]*$/.test(name)
}

function portabilityProblem(path: string, segments: readonly string[]): Problem | undefined {
  const because = (detail: string): Problem => ({ code: 'path_not_portable', detail })
  if (path !== path.normalize('NFC')) return because('is not in Unicode normal form C')
  if (/[<>:"|?*]/.test(path)) return because('contains a character that Windows refuses')
  for (const segment of segments) {
    if (/[.\s]$/.test(segment)) return because('has a part that ends with a blank or a dot')
    if (reserved.test(segment)) return because('has a part that is a device on Windows')
    if (shortName.test(segment)) return because('has a part that looks like a short name on NTFS')
  }
  return undefined
}
