import { cpSync, mkdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs'
import { basename, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { sha256 } from '#shared/digest.ts'
import { edited, type EditedFile } from './edited-source.ts'

const root = fileURLToPath(new URL('../../', import.meta.url))

/** What one release has that another one has not. */
export interface Difference {
  readonly edits: readonly EditedFile[]
  /** Migrations besides, by the name of the file. */
  readonly migrations: Readonly<Record<string, string>>
}

/** Puts a release into a folder: the tree as it is, with a difference. It has the packages of this one. */
export function writeRelease(folder: string, { edits, migrations }: Difference): void {
  mkdirSync(folder, { recursive: true })
  const filter = (path: string) => basename(path) !== 'node_modules'
  for (const part of ['agent', 'api', 'cli', 'deploy', 'eventing', 'functions', 'knative', 'shared', 'test'])
    cpSync(join(root, part), join(folder, part), { recursive: true, filter })
  cpSync(join(root, 'package.json'), join(folder, 'package.json'))
  for (const packages of ['node_modules', 'agent/codex/node_modules'])
    symlinkSync(join(root, packages), join(folder, packages))
  for (const { file, edits: each } of edits) {
    const path = join(folder, file)
    writeFileSync(path, edited(readFileSync(path, 'utf8'), file, each))
  }
  const directory = join(folder, 'shared', 'db', 'migrations')
  const digests = JSON.parse(readFileSync(join(directory, 'digests.json'), 'utf8')) as Record<string, string>
  for (const [name, text] of Object.entries(migrations)) {
    writeFileSync(join(directory, name), text)
    digests[name] = sha256(Buffer.from(text))
  }
  writeFileSync(join(directory, 'digests.json'), JSON.stringify(digests, undefined, 2))
}

/** Name of the one migration that the next release brings. */
export const NEXT_MIGRATION = '999001_next_release.sql'

/**
 * The release after this one. It leaves its name on each event that it writes and on each delivery that it settles, in columns
 * of the busiest tables, and gives runs a weight, in a column of a table that is rebuilt from the ledger.
 */
export const NEXT: Difference = {
  migrations: {
    [NEXT_MIGRATION]: `alter table outbox add column release text;
alter table deliveries add column release text;
alter table runs add column weight integer not null default 1 check (weight > 0);
create index runs_weight on runs (weight) where weight > 1;
`,
  },
  edits: [
    {
      file: 'shared/outbox/write.ts',
      edits: [
        [
          'event, record, inbox_id, lease, lease_until, attempts)',
          'event, record, inbox_id, lease, lease_until, attempts, release)',
        ],
        [
          'case when ${lease}::uuid is null then 0 else 1 end',
          "case when ${lease}::uuid is null then 0 else 1 end, 'next'",
        ],
      ],
    },
    { file: 'shared/outbox/deliver.ts', edits: [["state: 'done',", "state: 'done', release: 'next',"]] },
    { file: 'functions/label-router/store.ts', edits: [['state: start.state,', 'state: start.state, weight: 2,']] },
  ],
}
