import { execFileSync } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { decide } from './decide.ts'
import { display } from './finding.ts'
import { base, changeSet, remove, write } from './testing/change-sets.ts'
import { goodChangeSets } from './testing/good-change-sets.ts'
import { hostileChangeSets } from './testing/hostile-change-sets.ts'
import { randomStep } from './testing/random-step.ts'

describe('J4: a hostile change set is refused whole, with the reason', () => {
  test.for(hostileChangeSets)('one that $name', ({ steps, code, ...overrides }) => {
    // Also when it comes with harmless files, before and after.
    const alone = decide(changeSet(steps, overrides))
    expect(alone).toMatchObject({ kind: 'reject', reason: code })
    if (steps.length > 1_000) return
    const among = decide(changeSet([write('src/harmless-1.md'), ...steps, write('src/harmless-2.md')], overrides))
    expect(among).toMatchObject({ kind: 'reject', reason: code })
  })

  test('there are at least 40 of them', () => {
    expect(hostileChangeSets.length).toBeGreaterThanOrEqual(40)
  })

  test('the default list protects at any depth and in any case', () => {
    const kept = [
      '.github/actions/a/action.yml',
      '.GITLAB/ci.yml',
      'a/b/CLAUDE.md',
      'x/.Cursor/rules',
      '.husky/pre-commit',
      'Jenkinsfile',
    ]
    for (const path of kept) expect(decide(changeSet([write(path)]))).toMatchObject({ reason: 'protected_path' })
  })

  test('a refusal lists 20 findings and counts the others', () => {
    const decision = decide(changeSet(Array.from({ length: 50 }, (_, n) => write(`../${n}`))))
    expect(decision).toMatchObject({ kind: 'reject', omitted: 30 })
    expect(decision.kind === 'reject' && decision.findings).toHaveLength(20)
  })

  test('a path is shown without what could break out of a line, a code span or a screen', () => {
    expect(display('a\nb`c\u202e\ud800\u200b\\')).toBe('a\\u{a}b\\u{60}c\\u{202e}\\u{d800}\\u{200b}\\u{5c}')
    expect(display('\u0007'.repeat(5_000))).toHaveLength(200)
    expect(display('x'.repeat(200))).toBe('x'.repeat(200))
  })
})

describe('J4: ordinary work is published', () => {
  test.for(goodChangeSets)('a set that $name', ({ steps, paths, ...overrides }) => {
    const decision = decide(changeSet(steps, overrides))
    expect(decision).toMatchObject({ kind: 'publish' })
    expect(decision.kind === 'publish' && decision.files.map(({ path }) => path)).toEqual(paths)
  })

  test('a published file has the mode and the very bytes that were uploaded', () => {
    const content = new Uint8Array([0, 255, 10])
    const decision = decide(changeSet([write('src/a.bin', content), remove('docs/guide.md')]))
    expect(decision).toEqual({
      kind: 'publish',
      files: [
        { kind: 'write', path: 'src/a.bin', mode: '100644', content: Buffer.from(content) },
        { kind: 'delete', path: 'docs/guide.md' },
      ],
    })
  })

  test('no change, and writes of what is there, are nothing to publish in any stage', () => {
    for (const kind of ['none', 'markdown', 'prompts', 'code'] as const) {
      expect(decide(changeSet([], { scope: { kind } }))).toEqual({ kind: 'nothing-to-publish' })
      expect(decide(changeSet([write('src/main.ts', 'main()\n')], { scope: { kind } }))).toEqual({
        kind: 'nothing-to-publish',
      })
    }
  })
})

describe('J4: what is published is what git itself would accept', () => {
  test('git takes the trees of random sets, and no two paths of one fall together where case does not count', () => {
    const scope = { protected: ['**/.gitmodules'] }
    const passed: Map<string, string>[] = []
    fc.assert(
      fc.property(fc.array(randomStep, { minLength: 1, maxLength: 4 }), (steps) => {
        const decision = decide(changeSet(steps, { scope }))
        if (decision.kind !== 'publish') return true
        const tree = new Map(
          [...base].filter(([, { type }]) => type === 'blob').map(([name, { mode }]) => [name, mode]),
        )
        const absent = decision.files.filter((file) => file.kind === 'delete' && !tree.delete(file.path))
        for (const file of decision.files) if (file.kind === 'write') tree.set(file.path, file.mode)
        passed.push(tree)
        // An oracle of its own: on a disk that knows neither case nor accents there is a place for each file and folder.
        const nodes = new Set(
          [...tree.keys()].flatMap((name) => name.split('/').map((_, end, parts) => parts.slice(0, end + 1).join('/'))),
        )
        const places = new Set([...nodes].map((name) => name.normalize('NFD').toLocaleUpperCase('en')))
        return absent.length === 0 && places.size === nodes.size
      }),
      { numRuns: 4_000 },
    )
    expect(passed.length).toBeGreaterThan(300)

    const directory = mkdtempSync(join(tmpdir(), 'change-publisher-'))
    try {
      const git = (args: readonly string[], input = '') =>
        execFileSync('git', ['-c', 'core.protectNTFS=true', '-c', 'core.protectHFS=true', ...args], {
          cwd: directory,
          input,
          env: { PATH: process.env['PATH'], GIT_CONFIG_NOSYSTEM: '1', HOME: directory },
          stdio: ['pipe', 'pipe', 'pipe'],
        }).toString()
      git(['init', '--quiet', '--template=', '.'])
      const blob = git(['hash-object', '-w', '--stdin'], 'content\n').trim()
      const sample = passed.slice(0, 300)
      // Each tree in a folder of its own, so that one index holds all of them.
      const names = sample.flatMap((tree, n) => [...tree].map(([name, mode]) => [mode, `${n}/${name}`] as const))
      git(['update-index', '-z', '--index-info'], names.map(([mode, name]) => `${mode} ${blob} 0\t${name}\0`).join(''))
      const tree = git(['write-tree']).trim()
      const listed = git(['ls-tree', '-r', '-z', '--name-only', tree]).split('\0').slice(0, -1)
      expect(new Set(listed)).toEqual(new Set(names.map(([, name]) => name)))
      git(['fsck', '--strict', '--no-dangling'])
    } finally {
      rmSync(directory, { recursive: true, force: true })
    }
  })
})
