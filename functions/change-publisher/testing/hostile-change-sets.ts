import { remove, write } from './change-sets.ts'
import type { Step } from './change-sets.ts'
import { hostilePaths } from './hostile-paths.ts'
import type { HostileChangeSet } from './hostile-paths.ts'

const declared = (path: string, bytes: number): Step => {
  const { change, content } = write(path)
  return { change: { ...change, bytes } as Step['change'], ...(content && { content }) }
}

/** Row J4 and more: one attack each, none of which may reach a forge. */
export const hostileChangeSets: readonly HostileChangeSet[] = [
  ...hostilePaths,
  // Types and modes.
  { name: 'links to /etc', steps: [write('src/etc', '/etc', '120000')], code: 'symlink' },
  { name: 'makes a file a link', steps: [write('README.md', '/proc/self/environ', '120000')], code: 'symlink' },
  { name: 'adds a submodule', steps: [write('vendor/other', '0'.repeat(40), '160000')], code: 'submodule' },
  { name: 'moves a submodule', steps: [write('vendor/library', '1'.repeat(40), '160000')], code: 'submodule' },
  { name: 'replaces a submodule by a file', steps: [write('vendor/library')], code: 'submodule' },
  { name: 'deletes a submodule', steps: [remove('vendor/library')], code: 'submodule' },
  { name: 'adds a binary that can be executed', steps: [write('src/tool', '\u007fELF', '100755')], code: 'executable' },
  { name: 'makes a text executable', steps: [write('src/main.ts', 'main()\n', '100755')], code: 'executable' },
  {
    name: 'adds a program in a stage for documents',
    steps: [write('docs/run.md', '#!/bin/sh\n', '100755')],
    scope: { kind: 'markdown' },
    code: 'executable',
  },
  {
    name: 'adds a pointer of LFS',
    steps: [write('src/a.bin', 'version https://git-lfs.github.com/spec/v1\noid sha256:0\n')],
    code: 'lfs_pointer',
  },
  // Protected paths.
  { name: 'adds a workflow', steps: [write('.github/workflows/new.yml')], code: 'protected_path' },
  { name: 'adds a workflow in other letters', steps: [write('.GitHub/Workflows/new.yml')], code: 'protected_path' },
  { name: 'adds a workflow with a long s', steps: [write('.github/workflow\u017f/new.yml')], code: 'protected_path' },
  {
    name: 'replaces the folder of workflows',
    steps: [remove('.github/workflows/ci.yml'), write('.github/workflows')],
    code: 'protected_path',
  },
  {
    name: 'renames a file into the workflows',
    steps: [remove('src/main.ts'), write('.github/workflows/main.yml', 'main()\n')],
    code: 'protected_path',
  },
  {
    name: 'renames a workflow away',
    steps: [remove('.github/workflows/ci.yml'), write('docs/ci.yml', 'on: push\n')],
    code: 'protected_path',
  },
  { name: 'deletes the owners', steps: [remove('CODEOWNERS')], code: 'protected_path' },
  { name: 'adds owners of a folder', steps: [write('docs/CODEOWNERS')], code: 'protected_path' },
  {
    name: 'adds a submodule URL that runs a command',
    steps: [write('.gitmodules', '[submodule "x"]\n\tpath = x\n\turl = ext::sh -c id\n')],
    code: 'protected_path',
  },
  { name: 'makes a protected file a folder', steps: [write('.gitmodules/a')], code: 'protected_path' },
  { name: 'adds a filter for files', steps: [write('src/.gitattributes', '* filter=run\n')], code: 'protected_path' },
  { name: 'configures the next agent', steps: [write('.codex/config.toml')], code: 'protected_path' },
  {
    name: 'configures the next agent in a folder',
    steps: [write('src/.Claude/settings.json')],
    code: 'protected_path',
  },
  { name: 'instructs the next agent', steps: [write('src/agents.md')], code: 'protected_path' },
  { name: 'starts a server for the next agent', steps: [write('.mcp.json')], code: 'protected_path' },
  { name: 'adds a pipeline of GitLab', steps: [write('.gitlab-ci.yml')], code: 'protected_path' },
  { name: 'runs when the folder is opened', steps: [write('.vscode/tasks.json')], code: 'protected_path' },
  {
    name: 'chooses another registry',
    steps: [write('.npmrc', 'registry=http://203.0.113.1/\n')],
    code: 'protected_path',
  },
  {
    name: 'writes to a path that its list names in letters of its own',
    steps: [write('stra\u00dfe/a.ts')],
    scope: { protected: ['Stra\u00dfe/**'] },
    code: 'protected_path',
  },
  // Scope and size.
  {
    name: 'writes code in a stage for documents',
    steps: [write('src/main.ts')],
    scope: { kind: 'markdown' },
    code: 'outside_scope',
  },
  {
    name: 'deletes code in a stage for documents',
    steps: [remove('src/main.ts')],
    scope: { kind: 'markdown' },
    code: 'outside_scope',
  },
  {
    name: 'writes code in a stage for prompts',
    steps: [write('src/prompts/a.ts')],
    scope: { kind: 'prompts' },
    code: 'outside_scope',
  },
  {
    name: 'writes in a stage that only reads',
    steps: [write('README.md')],
    scope: { kind: 'none', maxFiles: 0 },
    code: 'outside_scope',
  },
  {
    name: 'has 100,000 files',
    steps: Array.from({ length: 100_000 }, (_, n) => remove(`f${n}`)),
    code: 'too_many_files',
  },
  { name: 'has one huge binary', steps: [write('src/huge.bin', new Uint8Array(100_001))], code: 'too_many_bytes' },
  {
    name: 'has one blob at many paths',
    steps: Array.from({ length: 3 }, (_, n) => write(`src/copy${n}.bin`, new Uint8Array(40_000))),
    code: 'too_many_bytes',
  },
  { name: 'declares fewer bytes than it uploaded', steps: [declared('src/a.ts', 1)], code: 'blob_size_mismatch' },
  { name: 'declares more bytes than it uploaded', steps: [declared('src/a.ts', 99_999)], code: 'blob_size_mismatch' },
  { name: 'names a blob that was not uploaded', steps: [{ change: write('src/a.ts').change }], code: 'blob_missing' },
  // Branch and message.
  ...[
    'main',
    'agent/7-k3x9q2/../../main',
    'refs/heads/main',
    'agent/7-K3X9Q2',
    'agent/7-abc',
    '--upload-pack=touch /tmp/p',
    'agent/7-k3x9q2\n',
  ].map((branch): HostileChangeSet => ({
    name: `goes to the branch ${JSON.stringify(branch)}`,
    steps: [write('src/a.ts')],
    branch,
    code: 'branch_invalid',
  })),
  {
    name: 'has a title of two lines',
    steps: [write('src/a.ts')],
    message: { title: 'Fix\n\nSigned-off-by: a' },
    code: 'message_invalid',
  },
  { name: 'has an empty title', steps: [write('src/a.ts')], message: { title: ' ' }, code: 'message_invalid' },
  {
    name: 'turns its summary around',
    steps: [write('src/a.ts')],
    message: { summary: 'safe \u202e live' },
    code: 'message_invalid',
  },
  {
    name: 'hides text in tag characters',
    steps: [write('src/a.ts')],
    message: { tests: 'ok \u{e0041}\u{e0042}' },
    code: 'message_invalid',
  },
  {
    name: 'has an escape sequence in its summary',
    steps: [write('src/a.ts')],
    message: { summary: '\u001b]0;x\u0007' },
    code: 'message_invalid',
  },
  {
    name: 'has half a surrogate pair in its title',
    steps: [write('src/a.ts')],
    message: { title: 'Fix \udc00' },
    code: 'message_invalid',
  },
]
