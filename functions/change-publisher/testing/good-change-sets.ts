import { remove, write } from './change-sets.ts'
import type { Overrides, Step } from './change-sets.ts'

/** A change set as ordinary work makes it, and the paths that are published. */
export interface GoodChangeSet extends Overrides {
  readonly name: string
  readonly steps: readonly Step[]
  readonly paths: readonly string[]
}

/** What the policy must not be in the way of. */
export const goodChangeSets: readonly GoodChangeSet[] = [
  { name: 'edits a file', steps: [write('src/main.ts', 'main(1)\n')], paths: ['src/main.ts'] },
  { name: 'adds a file in a new folder', steps: [write('src/new/a.test.ts')], paths: ['src/new/a.test.ts'] },
  {
    name: 'renames a file',
    steps: [remove('src/main.ts'), write('src/start.ts', 'main()\n')],
    paths: ['src/main.ts', 'src/start.ts'],
  },
  {
    name: 'renames a file only in case',
    steps: [remove('README.md'), write('Readme.md')],
    paths: ['README.md', 'Readme.md'],
  },
  {
    name: 'renames a folder only in case',
    steps: [remove('src/util/text.ts'), write('src/Util/text.ts')],
    paths: ['src/util/text.ts', 'src/Util/text.ts'],
  },
  {
    name: 'turns a file into a folder',
    steps: [remove('src/main.ts'), write('src/main.ts/index.ts')],
    paths: ['src/main.ts', 'src/main.ts/index.ts'],
  },
  {
    name: 'turns a folder into a file',
    steps: [remove('src/util/text.ts'), write('src/util')],
    paths: ['src/util/text.ts', 'src/util'],
  },
  {
    name: 'edits a program',
    steps: [write('scripts/build.sh', '#!/bin/sh\nmake\n', '100755')],
    paths: ['scripts/build.sh'],
  },
  {
    name: 'edits a program that does not start with #!',
    steps: [write('scripts/gradle', '@echo on\n', '100755')],
    paths: ['scripts/gradle'],
  },
  {
    name: 'adds a script',
    steps: [write('scripts/test.sh', '#!/usr/bin/env bash\n', '100755')],
    paths: ['scripts/test.sh'],
  },
  {
    name: 'makes a program a plain file',
    steps: [write('scripts/build.sh', '#!/bin/sh\n')],
    paths: ['scripts/build.sh'],
  },
  { name: 'replaces a link by a file', steps: [write('scripts/latest', 'text')], paths: ['scripts/latest'] },
  {
    name: 'edits a file whose name Windows refuses',
    steps: [write('drivers/aux.c', 'int a;\n')],
    paths: ['drivers/aux.c'],
  },
  {
    name: 'adds a picture',
    steps: [write('docs/logo.png', new Uint8Array([0x89, 0x50, 0, 255]))],
    paths: ['docs/logo.png'],
  },
  { name: 'adds an empty file', steps: [write('src/py.typed', '')], paths: ['src/py.typed'] },
  {
    name: 'names things in other scripts',
    steps: [write('docs/日本語.md'), write('docs/naïve café.md')],
    paths: ['docs/日本語.md', 'docs/naïve café.md'],
  },
  {
    name: 'uses the brackets of routes',
    steps: [write('src/app/(group)/[...slug]/@x/$id.tsx')],
    paths: ['src/app/(group)/[...slug]/@x/$id.tsx'],
  },
  {
    name: 'edits .gitignore and an issue form',
    steps: [write('.gitignore'), write('.github/ISSUE_TEMPLATE/bug.yml')],
    paths: ['.gitignore', '.github/ISSUE_TEMPLATE/bug.yml'],
  },
  {
    name: 'drops what changes nothing',
    steps: [write('README.md', '# Example\n'), write('src/a.ts')],
    paths: ['src/a.ts'],
  },
  {
    name: 'writes documents',
    steps: [write('docs/a.md'), write('docs/b.MDX'), remove('docs/guide.md')],
    scope: { kind: 'markdown' },
    paths: ['docs/a.md', 'docs/b.MDX', 'docs/guide.md'],
  },
  {
    name: 'writes prompts',
    steps: [write('prompts/a.txt'), write('notes.md')],
    scope: { kind: 'prompts' },
    paths: ['prompts/a.txt', 'notes.md'],
  },
  {
    name: 'is as large as it may be',
    steps: [write('src/a.bin', new Uint8Array(100_000))],
    scope: { maxFiles: 1 },
    paths: ['src/a.bin'],
  },
  {
    name: 'has a message in Arabic with an emoji',
    steps: [write('src/a.ts')],
    message: { title: 'إصلاح 👩‍👧 \u200f!', summary: 'a\r\n\tb' },
    paths: ['src/a.ts'],
  },
]
