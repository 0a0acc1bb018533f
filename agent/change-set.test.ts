import { execFileSync } from 'node:child_process'
import {
  chmodSync,
  mkdirSync,
  readFileSync,
  readdirSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import { describe, expect, onTestFinished, test } from 'vitest'
import { sha256 } from '#shared/digest.ts'
import { collectChanges } from './change-set.ts'
import { checkout } from './checkout.ts'
import type { Failure } from './failure.ts'
import { RUN_TOKEN, startGateways } from './testing/gateways.ts'
import { plainGit, putFile, sampleRepository, temporaryFolder } from './testing/repository.ts'
import type { Content } from './testing/repository.ts'

const path = process.env['PATH'] ?? ''
const signal = new AbortController().signal

const files: Record<string, Content> = {
  '.gitignore': 'build/\n*.log\n/dist\n',
  'lib/.gitignore': '!keep.log\n',
  'build/tracked.txt': 'in spite of .gitignore\n',
  'bin/run': { executable: '#!/bin/sh\n' },
  'docs/a.md': 'a\n',
  'docs/b.md': 'b\n',
  latest: { link: 'docs/a.md' },
  module: { submodule: '1'.repeat(40) },
  'grüße aus "Köln"\n.txt': 'hello\n',
  'windows.txt': 'one\r\ntwo\r\n',
  '.gitattributes': '*.txt text eol=crlf\n*.md ident\n',
  'ident.md': '$Id$\n',
  '.codex/config.toml': 'x = 1\n',
}

/** Checks the files out as a run does, lets `edit` work on them, and returns what changed. */
async function changesAfter(
  edit: (directory: string) => void,
  options: { maxBytes?: number; files?: Record<string, Content> } = {},
) {
  const repository = sampleRepository(options.files ?? files)
  const gateways = await startGateways({ repository, content: { title: '', body: '', comments: [] } })
  onTestFinished(() => gateways.close())
  const scratch = temporaryFolder()
  const directory = join(scratch, 'repository')
  const url = `${gateways.url}/v1/git`
  const base = await checkout({ url, commit: repository.commit, token: RUN_TOKEN, directory, path, signal })
  edit(directory)
  const { changes, blobs } = await collectChanges({
    directory,
    base,
    maxBytes: options.maxBytes ?? 1_000_000,
    scratch,
    path,
    signal,
  })
  const content = (digest: string): Buffer => blobs.get(digest) ?? Buffer.from('no such blob')
  const wrong = changes.filter((change) => change.kind === 'write' && sha256(content(change.blob)) !== change.blob)
  expect(wrong).toEqual([])
  return changes.map((change) =>
    change.kind === 'delete'
      ? `delete ${change.path}`
      : `${change.mode} ${change.path} = ${content(change.blob).toString()}`,
  )
}

async function failureAfter(edit: (directory: string) => void, options: { maxBytes?: number } = {}): Promise<string> {
  return changesAfter(edit, options).then(
    () => 'no failure',
    (error: Failure) => error.reason,
  )
}

describe('the change set', () => {
  test('is empty when nothing was changed, whatever attributes, encodings and links the repository has', async () => {
    expect(await changesAfter(() => undefined)).toEqual([])
  })

  test('has edits, executables, links, deletions, renames and untracked files', async () => {
    const shown = await changesAfter((directory) => {
      writeFileSync(join(directory, 'docs/a.md'), 'A\n')
      chmodSync(join(directory, 'docs/b.md'), 0o755)
      chmodSync(join(directory, 'bin/run'), 0o644)
      rmSync(join(directory, 'latest'))
      symlinkSync('docs/b.md', join(directory, 'latest'))
      renameSync(join(directory, 'windows.txt'), join(directory, 'unix.txt'))
      rmSync(join(directory, 'grüße aus "Köln"\n.txt'))
      putFile(directory, 'new/deep/file.txt', 'new\n')
      symlinkSync('/etc/passwd', join(directory, 'outside'))
    })
    expect(shown).toEqual([
      '100644 bin/run = #!/bin/sh\n',
      '100644 docs/a.md = A\n',
      '100755 docs/b.md = b\n',
      'delete grüße aus "Köln"\n.txt',
      '120000 latest = docs/b.md',
      '100644 new/deep/file.txt = new\n',
      '120000 outside = /etc/passwd',
      '100644 unix.txt = one\r\ntwo\r\n',
      'delete windows.txt',
    ])
  })

  test("leaves out what the base's .gitignore ignores, and no more when the agent edits it", async () => {
    const shown = await changesAfter((directory) => {
      writeFileSync(join(directory, '.gitignore'), 'secret.txt\n')
      putFile(directory, 'secret.txt', 'shown\n')
      putFile(directory, 'noise.log', '')
      putFile(directory, 'lib/keep.log', 'kept\n')
      putFile(directory, 'dist/out.js', '')
      putFile(directory, 'build/out.js', '')
      putFile(directory, 'deep/build/out.js', '')
      putFile(directory, 'build/tracked.txt', 'edited\n')
    })
    expect(shown).toEqual([
      '100644 .gitignore = secret.txt\n',
      '100644 build/tracked.txt = edited\n',
      '100644 lib/keep.log = kept\n',
      '100644 secret.txt = shown\n',
    ])
  })

  test('has a file that became a folder, and a folder that became a link', async () => {
    const shown = await changesAfter((directory) => {
      rmSync(join(directory, 'windows.txt'))
      putFile(directory, 'windows.txt/inside', 'in\n')
      rmSync(join(directory, 'docs'), { recursive: true })
      symlinkSync('/tmp', join(directory, 'docs'))
    })
    expect(shown).toEqual([
      '120000 docs = /tmp',
      'delete docs/a.md',
      'delete docs/b.md',
      'delete windows.txt',
      '100644 windows.txt/inside = in\n',
    ])
  })

  test('shows a repository in the work tree as a gitlink, also one that was made to hide files', async () => {
    let commit = ''
    const shown = await changesAfter((directory) => {
      const nested = join(directory, 'vendor/nested')
      mkdirSync(nested, { recursive: true })
      plainGit(nested, 'init', '-q', '-b', 'main')
      plainGit(nested, 'commit', '-q', '--allow-empty', '-m', 'x')
      commit = plainGit(nested, 'rev-parse', 'HEAD')
      putFile(directory, 'docs/.git', 'gitdir: /etc')
      plainGit(join(directory, 'module'), 'init', '-q')
    })
    expect(shown).toEqual([
      `160000 docs = ${'0'.repeat(40)}`,
      'delete docs/a.md',
      'delete docs/b.md',
      `160000 module = ${'0'.repeat(40)}`,
      `160000 vendor/nested = ${commit}`,
    ])
  })

  test("does not have what the agent did to an agent's configuration or to .git", async () => {
    const shown = await changesAfter((directory) => {
      putFile(directory, '.codex/config.toml', 'x = 2\n')
      putFile(directory, '.CLAUDE/settings.json', '{}')
      putFile(directory, 'packages/a/.mcp.json', '{}')
      putFile(directory, '.git/hooks/post-checkout', { executable: '#!/bin/sh\ntouch PWNED\n' })
      putFile(directory, '.git/config', '[core]\n\tfsmonitor = "touch PWNED"\n\tworktree = /etc\n')
      rmSync(join(directory, '.git/index'))
    })
    expect(shown).toEqual([])
  })

  test('passes over pipes instead of waiting for them', async () => {
    expect(await changesAfter((directory) => void execFileSync('mkfifo', [join(directory, 'pipe')]))).toEqual([])
  })

  test('of a large base file that did not change is empty', async () => {
    expect(await changesAfter(() => undefined, { files: { large: Buffer.alloc(9 * 1024 * 1024) } })).toEqual([])
  })

  test('is too large with a blob above 8 MiB, with more bytes than the stage allows, and with too many paths', async () => {
    expect(
      await failureAfter((directory) => putFile(directory, 'x', Buffer.alloc(8 * 1024 * 1024 + 1)), { maxBytes: 1e9 }),
    ).toBe('result_too_large')
    expect(await failureAfter((directory) => putFile(directory, 'x', Buffer.alloc(101)), { maxBytes: 100 })).toBe(
      'result_too_large',
    )
    const many = (directory: string): void => {
      for (let number = 0; number <= 10_000; number++) writeFileSync(join(directory, String(number)), '')
    }
    expect(await failureAfter(many)).toBe('result_too_large')
  })

  test('with a name that is no UTF-8 is refused, not garbled', async () => {
    expect(await failureAfter((directory) => writeFileSync(Buffer.from(`${directory}/\xff`, 'latin1'), 'x'))).toBe(
      'agent_failed',
    )
  })
})

describe('the checkout', () => {
  test('leaves no remote, no credential and no hook in .git', async () => {
    let files: string[] = []
    let config = ''
    let status = ''
    await changesAfter((directory) => {
      const metadata = join(directory, '.git')
      files = readdirSync(metadata, { recursive: true, encoding: 'utf8' })
      const texts = files.map((file) => join(metadata, file)).filter((file) => statSync(file).isFile())
      config = texts.map((file) => readFileSync(file, 'latin1')).join('\n')
      status = plainGit(directory, 'status', '--porcelain')
    })
    expect(config).not.toMatch(/127\.0\.0\.1|bearer|canary|\[remote|\[http|url =/i)
    expect(files).not.toContain('hooks')
    expect(files).not.toContain('FETCH_HEAD')
    expect(status).toBe('')
  })
})
