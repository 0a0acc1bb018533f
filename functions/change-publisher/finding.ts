/** Why a change set is not published. Each has a sentence and a next step for a person in the status comment. */
export type RefusalCode =
  | 'blob_missing'
  | 'blob_size_mismatch'
  | 'branch_invalid'
  | 'executable'
  | 'lfs_pointer'
  | 'message_invalid'
  | 'not_in_base'
  | 'outside_scope'
  | 'path_collision'
  | 'path_conflict'
  | 'path_deceptive'
  | 'path_duplicate'
  | 'path_git_metadata'
  | 'path_malformed'
  | 'path_not_portable'
  | 'path_outside'
  | 'path_too_long'
  | 'protected_path'
  | 'submodule'
  | 'symlink'
  | 'too_many_bytes'
  | 'too_many_files'

/** What one rule says against one path. `detail` is a sentence's end for a person and repeats nothing the agent wrote. */
export interface Problem {
  readonly code: RefusalCode
  readonly detail: string
}

/** A problem and where it is. `path` is safe to show, at most 200 characters; null where no single path is at fault. */
export interface Finding extends Problem {
  readonly path: string | null
}

/** Most findings that a refusal lists. The rest is a number. */
export const MAX_FINDINGS = 20

const MAX_SHOWN_CHARACTERS = 200
const notShown = /[\p{Cc}\p{Cf}\p{Cs}\p{Zl}\p{Zp}\p{Default_Ignorable_Code_Point}\\`]/gu

/** Text of the agent's as it may stand in a log or between backticks: nothing hidden, one line, at most 200 characters. */
export function display(text: string): string {
  const start = text.slice(0, MAX_SHOWN_CHARACTERS + 1)
  const shown = start.replace(notShown, (character) => `\\u{${(character.codePointAt(0) ?? 0).toString(16)}}`)
  return shown.length > MAX_SHOWN_CHARACTERS ? `${shown.slice(0, MAX_SHOWN_CHARACTERS - 1)}…` : shown
}
