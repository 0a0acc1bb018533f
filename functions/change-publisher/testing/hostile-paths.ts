import { remove, write } from './change-sets.ts'
import type { Overrides, Step } from './change-sets.ts'

/** A change set as a hijacked agent could upload it, and the code it has to be refused with. */
export interface HostileChangeSet extends Overrides {
  readonly name: string
  readonly steps: readonly Step[]
  readonly code: string
}

const tooLong = `${'d'.repeat(100)}/`.repeat(41)
/** Attacks by the name of a path alone, or by how it stands to other paths. */
export const hostilePaths: readonly HostileChangeSet[] = [
  // Out of the repository.
  { name: 'climbs out of the repository', steps: [write('../outside.ts')], code: 'path_outside' },
  { name: 'climbs out from deep inside', steps: [write('src/../../outside.ts')], code: 'path_outside' },
  { name: 'deletes outside', steps: [remove('../../etc/passwd')], code: 'path_outside' },
  { name: 'is absolute', steps: [write('/etc/cron.d/job')], code: 'path_outside' },
  { name: 'has an empty part', steps: [write('src//main.ts')], code: 'path_outside' },
  { name: 'names the same folder', steps: [write('./src/main.ts')], code: 'path_outside' },
  { name: 'ends with a slash', steps: [write('src/new/')], code: 'path_outside' },
  { name: 'is absolute on Windows', steps: [write('C:/Windows/win.ini')], code: 'path_outside' },
  { name: 'climbs out with backslashes', steps: [write('..\\..\\outside.ts')], code: 'path_outside' },
  // Into .git.
  {
    name: 'writes a hook',
    steps: [write('.git/hooks/post-checkout', '#!/bin/sh\nid\n', '100755')],
    code: 'path_git_metadata',
  },
  { name: 'writes .GIT on a file system without case', steps: [write('.GIT/config')], code: 'path_git_metadata' },
  { name: 'writes the .git of a folder', steps: [write('src/.git/config')], code: 'path_git_metadata' },
  { name: 'replaces .git by a file', steps: [write('.git', 'gitdir: /tmp/other\n')], code: 'path_git_metadata' },
  { name: 'uses the short name of .git on NTFS', steps: [write('git~1/config')], code: 'path_git_metadata' },
  {
    name: 'uses a stream name of .git on NTFS',
    steps: [write('.git::$INDEX_ALLOCATION/config')],
    code: 'path_git_metadata',
  },
  { name: 'adds a blank to .git', steps: [write('.git /config')], code: 'path_git_metadata' },
  { name: 'adds dots to .git', steps: [write('.git../config')], code: 'path_git_metadata' },
  { name: 'hides a joiner in .git for HFS+', steps: [write('.g\u200cit/config')], code: 'path_git_metadata' },
  { name: 'hides a byte order mark in .git for HFS+', steps: [write('\ufeff.git/config')], code: 'path_git_metadata' },
  // Names that lie or break.
  { name: 'has a line break', steps: [write('src/a\nb.ts')], code: 'path_malformed' },
  { name: 'has a NUL', steps: [write('src/main.ts\0.md')], code: 'path_malformed' },
  { name: 'has an escape sequence for terminals', steps: [write('src/\u001b[2Ja.ts')], code: 'path_malformed' },
  { name: 'has half a surrogate pair', steps: [write('src/\ud800.ts')], code: 'path_malformed' },
  { name: 'turns its extension around', steps: [write('src/invoice\u202efdp.ts')], code: 'path_deceptive' },
  { name: 'looks like main.ts', steps: [write('src/ma\u200bin.ts')], code: 'path_deceptive' },
  { name: 'is not in normal form C', steps: [write('docs/me\u0301lange.md')], code: 'path_not_portable' },
  { name: 'is a device on Windows', steps: [write('src/nul.ts')], code: 'path_not_portable' },
  { name: 'lies in a device on Windows', steps: [write('src/COM1/a.ts')], code: 'path_not_portable' },
  { name: 'ends with a dot', steps: [write('src/main.ts.')], code: 'path_not_portable' },
  { name: 'ends a folder with a blank', steps: [write('src /main.ts')], code: 'path_not_portable' },
  { name: 'uses the short name of .gitmodules on NTFS', steps: [write('GITMOD~1')], code: 'path_not_portable' },
  { name: 'writes a stream of a file on NTFS', steps: [write('src/main.ts:hidden')], code: 'path_not_portable' },
  { name: 'has a part of 256 bytes', steps: [write(`src/${'\u00e9'.repeat(128)}`)], code: 'path_too_long' },
  { name: 'is longer than 4096 bytes', steps: [write(`${tooLong}a`)], code: 'path_too_long' },
  // Against itself and the base.
  { name: 'differs from a path of the base in case', steps: [write('readme.md')], code: 'path_collision' },
  {
    name: 'differs from a path of the base in its accents',
    steps: [write('docs/r\u00e9sum\u00e9.md')],
    code: 'path_collision',
  },
  { name: 'differs from a folder of the base in case', steps: [write('SRC/other.ts')], code: 'path_collision' },
  { name: 'has two paths that differ in case', steps: [write('src/a.ts'), write('src/A.ts')], code: 'path_collision' },
  {
    name: 'has a sharp s and its capitals',
    steps: [write('src/stra\u00dfe.ts'), write('src/STRASSE.ts')],
    code: 'path_collision',
  },
  { name: 'writes below a file', steps: [write('README.md/a.md')], code: 'path_conflict' },
  { name: 'writes through a link of the base', steps: [write('scripts/latest/a.sh')], code: 'path_conflict' },
  { name: 'writes a file where a folder is', steps: [write('src')], code: 'path_conflict' },
  { name: 'writes a file and below it', steps: [write('lib/a'), write('lib/a/b.ts')], code: 'path_conflict' },
  {
    name: 'writes a path twice',
    steps: [write('src/main.ts', 'a'), write('src/main.ts', 'b')],
    code: 'path_duplicate',
  },
  {
    name: 'writes and deletes a path',
    steps: [write('src/main.ts', 'a'), remove('src/main.ts')],
    code: 'path_duplicate',
  },
  { name: 'deletes what is not there', steps: [remove('src/none.ts')], code: 'not_in_base' },
  { name: 'deletes a folder', steps: [remove('src/util')], code: 'not_in_base' },
]
