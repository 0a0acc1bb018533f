import { createHash } from 'node:crypto'
import { describe, expect, test } from 'vitest'
import { subscriptions } from '#shared/events/subscriptions.ts'
import { readRepository, type Files } from './support/repository.ts'
import { functionFolders, triggers } from './support/rules-functions.ts'
import { functionImports, sharedLayers, sharedUsers } from './support/rules-imports.ts'
import { crashPointTests, environment, honestTests, migrations, registries } from './support/rules-sources.ts'

const table = { gate: [{ type: 'asked', where: { label: 'run' } }, { type: 'closed' }], ledger: [{ type: '*' }] }
const service = (name: string, seconds = 60) =>
  `apiVersion: serving.knative.dev/v1\nkind: Service\nmetadata: { name: ${name} }\nspec: { template: { spec: { timeoutSeconds: ${seconds} } } }\n`
const trigger = (name: string, filter: string, sink = name) =>
  `---\nkind: Trigger\nspec:\n  subscriber: { ref: { kind: Service, name: ${name} } }\n  delivery: { deadLetterSink: { uri: /dead-letter/${sink} } }\n  ${filter}\n`
const folder = (name: string) => ({
  [`functions/${name}/main.ts`]: '',
  [`functions/${name}/app.ts`]: '',
  [`functions/${name}/handler.ts`]: '',
  [`knative/${name}.yaml`]: service(name),
})
const whole = { ...folder('gate'), ...folder('ledger') }
const asked = trigger('gate', 'filter: { attributes: { type: asked, label: run } }')
const closed = trigger('gate', 'filters: [{ any: [{ exact: { type: closed } }] }]')
const all = trigger('ledger', '')
const sha256 = createHash('sha256').update('create').digest('hex')
const use = "import { a } from '#shared/a.ts'"
const useB = "import { b } from '#shared/b.ts'"

interface Rule {
  readonly name: string
  readonly check: (files: Files) => string[]
  readonly here?: (files: Files) => string[]
  /** What keeps the rule. */
  readonly good: readonly Readonly<Record<string, string>>[]
  /** What breaks it, each in one way. */
  readonly bad: readonly Readonly<Record<string, string>>[]
}

const rules: readonly Rule[] = [
  {
    name: 'a function is a folder with its parts and a Knative Service',
    check: (files) => functionFolders(files, table),
    here: (files) => functionFolders(files, subscriptions),
    good: [{}, whole],
    bad: [
      { 'functions/gate/main.ts': '' },
      folder('gate'),
      { ...whole, 'functions/extra/main.ts': '', 'functions/extra/app.ts': '' },
      { ...whole, 'knative/gate.yaml': service('ledger') },
      { ...whole, 'knative/gate.yaml': service('gate', 30) },
      { ...whole, 'knative/gone.yaml': service('gone') },
    ],
  },
  {
    name: 'triggers agree with subscriptions',
    check: (files) => triggers(files, table),
    here: (files) => triggers(files, subscriptions),
    good: [{}, { 'eventing/triggers.yaml': asked + closed + all }],
    bad: [
      { 'eventing/triggers.yaml': asked + all },
      { 'eventing/triggers.yaml': asked + closed + all + all },
      { 'eventing/triggers.yaml': asked + closed + all + trigger('gate', 'filter: { attributes: { type: x } }') },
      { 'eventing/triggers.yaml': asked.replace(', label: run', '') + closed + all },
      { 'eventing/triggers.yaml': asked + closed + trigger('ledger', '', 'gate') },
      { 'eventing/broker.yaml': 'kind: Broker' },
    ],
  },
  {
    name: 'functions import their own folder, packages and shared/, decisions only types',
    check: functionImports,
    good: [
      { 'functions/a/handler.ts': `import { decide } from './decide.ts'\n${use}` },
      { 'functions/a/decide.ts': "import type { X } from '#shared/x.ts'\nimport { type Y } from '#shared/y.ts'" },
      { 'functions/a/decide.ts': "import { y } from './y.ts'", 'functions/a/y.ts': "import type pg from 'pg'" },
      { 'deploy/local/main.ts': "import { create } from '../../functions/a/app.ts'" },
    ],
    bad: [
      { 'functions/a/handler.ts': "import { x } from '../../deploy/x.ts'" },
      { 'functions/a/app.test.ts': "import { x } from '../b/app.ts'" },
      { 'functions/a/app.ts': "const x = await import('../b/app.ts')" },
      { 'shared/a.ts': "export { x } from '../functions/a/app.ts'" },
      { 'deploy/bundle.ts': "import '../functions/a/app.ts'" },
      { 'functions/a/decide.ts': "import {\n  type X,\n  y,\n} from '#shared/x.ts'" },
      { 'functions/a/decide.ts': "import { y } from './y.ts'", 'functions/a/y.ts': "import pg from 'pg'" },
    ],
  },
  {
    name: 'imports inside shared/ go downwards',
    check: sharedLayers,
    good: [
      { 'shared/edge/a.ts': "import { x } from '#shared/outbox/x.ts'\nimport { y } from './y.ts'" },
      { 'shared/forge/github/a.ts': "import { x } from '#shared/workflow/x.ts'" },
    ],
    bad: [
      { 'shared/outbox/a.ts': "import type { x } from '#shared/edge/x.ts'" },
      { 'shared/env.ts': "import { x } from '#shared/db/x.ts'" },
      { 'shared/forge/github/a.ts': "import { x } from '#shared/db/x.ts'" },
      { 'shared/edge/a.ts': "import { x } from '../forge/github/x.ts'" },
      { 'shared/edge/a.ts': "import { x } from '../../deploy/x.ts'" },
      { 'shared/utils/a.ts': '' },
    ],
  },
  {
    name: 'what is in shared/ has two users',
    check: (files) => sharedUsers(files, { 'shared/b.ts#b': 'one day' }),
    here: sharedUsers,
    good: [
      { 'functions/x/app.ts': use, 'deploy/local/y.ts': use, 'shared/a.ts': 'export const a = 1' },
      { 'functions/x/app.ts': '', 'shared/a.ts': 'export interface A {}\nfunction a(x: A) {}' },
      { 'functions/x/app.ts': '', 'shared/b.ts': 'export const b = 1' },
      { 'functions/x/app.ts': "import { a } from '#shared/forge/a.ts'", 'shared/forge/a.ts': 'export const a = 1' },
    ],
    bad: [
      { 'functions/x/app.ts': use, 'functions/x/app.test.ts': use, 'shared/a.ts': 'export const a = 1' },
      { 'functions/x/app.ts': use, 'test/y.ts': use, 'shared/a.ts': 'export async function a() {}' },
      { 'functions/x/app.ts': '', 'shared/a.ts': 'export interface A {}' },
      { 'functions/x/app.ts': useB, 'deploy/y.ts': useB, 'shared/b.ts': 'export const b = 1' },
      { 'functions/x/app.ts': '', 'shared/forge/github/a.ts': 'export const a = 1' },
    ],
  },
  {
    name: 'the environment is read in main.ts only',
    check: environment,
    good: [{ 'functions/a/main.ts': 'process.env', 'deploy/x.ts': 'process.env', 'shared/env.ts': 'process.env' }],
    bad: [
      { 'functions/a/app.ts': 'process.env' },
      { 'shared/log.ts': "process['env']" },
      { 'agent/run.ts': 'process.env' },
    ],
  },
  {
    name: 'every crash point has a test that kills a process there',
    check: crashPointTests,
    good: [{ 'shared/a.ts': "crashPoint('a.b')", 'test/reliability/a.test.ts': "'a.b'" }],
    bad: [
      { 'shared/a.ts': "crashPoint('a.b')", 'shared/a.test.ts': "'a.b'" },
      { 'functions/a/app.ts': 'crashPoint(name)' },
    ],
  },
  {
    name: 'no test is left out, left alone or mocked',
    check: honestTests,
    good: [{ 'a.test.ts': 'test.skipIf(isRoot)()' }],
    bad: ['vi.' + 'mock(', 'test.' + 'only(', 'describe.' + 'skip(', 'it.' + 'todo('].map((text) => ({
      'a.test.ts': text,
    })),
  },
  {
    name: 'migrations are never edited',
    check: migrations,
    good: [
      {
        'shared/db/migrations/000001_first.sql': 'create',
        'shared/db/migrations/digests.json': `{ "000001_first.sql": "${sha256}" }`,
      },
    ],
    bad: [
      { 'shared/db/migrations/000001_first.sql': 'create' },
      { 'shared/db/migrations/000002_first.sql': 'create' },
      {
        'shared/db/migrations/000001_first.sql': 'create ',
        'shared/db/migrations/digests.json': `{ "000001_first.sql": "${sha256}" }`,
      },
      { 'shared/db/migrations/digests.json': `{ "000001_first.sql": "${sha256}" }` },
    ],
  },
  {
    name: 'no registry is named',
    check: registries,
    good: [{ 'package-lock.json': '{"packages":{"a":{"funding":{"url":"https://x"}}}}', '.npmrc': 'fund=false' }],
    bad: [
      { 'package-lock.json': '{"packages":{"a":{"resolved":"x"}}}' },
      { 'package-lock.json': '{"packages":{"a":{"version":"git+ssh://x"}}}' },
      { '.npmrc': 'registry=x' },
      { '.npmrc': '//x/:_authToken=1\n@a:registry = y' },
      { '.npmrc': 'proxy=http://x' },
    ],
  },
]

describe('the repository', () => {
  const files = readRepository()
  test.for(rules)('$name', ({ check, here = check }) => {
    expect(here(files)).toEqual([])
  })
})

// A rule that cannot fail guards nothing.
describe('the rule bites', () => {
  const asFiles = (files: Readonly<Record<string, string>>): Files => new Map(Object.entries(files))

  test.for(rules)('$name', ({ check, good, bad }) => {
    const isKept = (each: Readonly<Record<string, string>>) => check(asFiles(each)).length === 0
    expect(good.filter((each) => !isKept(each))).toEqual([])
    expect(bad.filter(isKept)).toEqual([])
  })
})
