import { expect } from 'vitest'
import type { Db } from '#shared/db/connect.ts'
import { cloneDatabase, test } from '../support/database.ts'
import { runThroughCrash } from '../support/crash.ts'
import type { Edit } from '../support/edited-source.ts'
import { bundleWith } from '../support/mutant.ts'
import { connect } from '#shared/db/connect.ts'

/** A guard on the way through a crash, the crash point at which it counts, and what is found without it. */
interface CrashGuard {
  readonly guard: string
  readonly crashPoint: string
  readonly file: string
  readonly edits: readonly Edit[]
  readonly fails: RegExp
}

const guards: readonly CrashGuard[] = [
  {
    guard: 'C5: the relay posts before it marks',
    crashPoint: 'relay.after-mark dev.codex-k8s.stage.approved.v1',
    file: 'shared/outbox/relay.ts',
    edits: [
      ['const accepted = await publish(row, until).catch(() => false)', 'const accepted = true'],
      ['return accepted\n', 'return publish(row, until).catch(() => false)\n'],
    ],
    fails: /marked as sent and never accepted/,
  },
  {
    guard: 'C13: the publisher finds its pull request and adopts it',
    crashPoint: 'publisher.after-pull-request',
    file: 'shared/forge/github/pull-request.ts',
    edits: [
      ['const existing = await findByHead(octokit, repository, head, wanted.marker)', 'const existing = undefined'],
      ['if (!/already exists/i.test(error.message)) return', 'return'],
    ],
    fails: /ends of the runs|service comments/,
  },
  {
    guard: 'the reporter looks for its marker before it writes a comment',
    crashPoint: 'reporter.after-create',
    file: 'functions/status-reporter/handler.ts',
    edits: [
      [
        'const [oldest, ...others] = await forge.find(run.subject_number, marker(run.id))',
        'const oldest = undefined, others = []',
      ],
      ['const all = isOver(run) ? await forge.find(run.subject_number, marker(run.id)) : []', 'const all = []'],
    ],
    fails: /service comments at the forge/,
  },
]

test.for(guards)(
  '$guard: holds through a crash, and its loss is noticed',
  async ({ crashPoint, file, edits, fails }, { db, databaseUrl }) => {
    await runThroughCrash({ db, databaseUrl, crashPoint })
    const functions = await bundleWith(file, edits)
    const second = await cloneDatabase()
    const secondDb: Db = connect(second.url, { name: 'test' })
    const mutated = runThroughCrash({ db: secondDb, databaseUrl: second.url, crashPoint, functions })
    try {
      await expect(mutated, 'the crash without the guard').rejects.toThrow(fails)
    } finally {
      await secondDb.destroy()
      await second.drop()
    }
  },
)
