import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, afterEach, beforeAll } from 'vitest'
import type { Db } from '#shared/db/connect.ts'
import type { Row } from '#shared/db/schema.ts'
import { createGitHub, type GitHub } from '#shared/forge/github/client.ts'
import { createLog } from '#shared/log.ts'
import { eventually } from '../../../test/support/wait.ts'
import { startForFile, type IssuesBody, type Started } from './forge-start.ts'
import { addProject } from './rows.ts'

/** What a request is answered instead of, or on top of, its normal course. */
export type Effect = 'drop-before' | 'apply-then-drop' | { readonly status: number; readonly body?: unknown }

/**
 * One forge simulator for a file of tests, as slow to start as a test: maria owns `maria/shop`, walt may write, theo
 * triage, eve read. Each test has issues of its own.
 */
export function forgeForFile() {
  let forge: Started
  let github: GitHub
  let bot: { id: number; login: string }
  let repository: { id: number; full_name: string }
  let installation: number
  const folder = mkdtempSync(join(tmpdir(), 'forge-file-'))
  const log = createLog('test', 'silent')

  beforeAll(async () => {
    forge = await startForFile(folder)
    const [app] = (await control('GET', '/apps')) as { bot: typeof bot; installations: { id: number }[] }[]
    bot = app?.bot ?? { id: 0, login: '' }
    installation = app?.installations[0]?.id ?? 0
    repository = await person('GET', '/repos/maria/shop')
    const auth = { kind: 'app', appId: '7', privateKey: forge.privateKey } as const
    github = createGitHub({ instance: forge.url, auth, log })
  })
  afterEach(() => control('DELETE', '/faults'))
  afterAll(async () => {
    await forge.close()
    rmSync(folder, { recursive: true, force: true })
  })

  const control: Started['control'] = (...asked) => forge.control(...asked)
  const person: Started['person'] = (...asked) => forge.person(...asked)
  const issues = '/repos/maria/shop/issues'
  return {
    url: () => forge.url,
    github: () => github,
    /** A client as a machine user, whose token is not bound to one repository. */
    machine: () =>
      createGitHub({
        instance: forge.url,
        auth: { kind: 'token', token: 'walt-token' },
        log,
      }),
    bot: () => bot,
    repositoryId: () => String(repository.id),
    control,
    person,
    issues,
    async issue(title = 'Say hello', body: string | null = 'Please.') {
      const { number } = await person<{ number: number }>('POST', issues, { title, body })
      return number
    },
    /** The next webhook of an issue with this action that no test has taken. */
    async hook(issue: number, action: string): Promise<IssuesBody> {
      const about = ({ issue: subject, pull_request: pull }: Partial<IssuesBody>) => (subject ?? pull)?.number
      const find = () => forge.hooks.findIndex((one) => about(one) === issue && one.action === action)
      await eventually(() => find() >= 0, { what: `a webhook ${action} of #${issue}` })
      return forge.hooks.splice(find(), 1)[0] as IssuesBody
    },
    /** Sets a label as somebody would; the webhook of it. */
    async label(issue: number, label = 'run:dev', login = 'maria'): Promise<IssuesBody> {
      await person('POST', `${issues}/${issue}/labels`, { labels: [label] }, login)
      return this.hook(issue, 'labeled')
    },
    /** Requests changes of a pull request as somebody would; the webhook of it. */
    async review(pull: number, body = 'Not yet.', login = 'maria', comments: readonly object[] = []) {
      const review = { event: 'REQUEST_CHANGES', body, comments }
      await person('POST', `/repos/maria/shop/pulls/${pull}/reviews`, review, login)
      return this.hook(pull, 'submitted')
    },
    async unlabel(issue: number, label = 'run:dev'): Promise<IssuesBody> {
      await person('DELETE', `${issues}/${issue}/labels/${encodeURIComponent(label)}`)
      return this.hook(issue, 'unlabeled')
    },
    /** What the next requests that match are answered. */
    async fault(method: string, path: string, effect: Effect, times = 1) {
      // oxlint-disable-next-line unicorn/no-thenable -- the simulator's word
      await control('POST', '/faults', { method, path, times, then: effect })
    },
    async ledger(kind: string) {
      return (await control('GET', `/ledger?kind=${kind}`)) as Record<string, unknown>[]
    },
    /** The repository as a connected project of this test's database. */
    project(db: Db, more: Parameters<typeof addProject>[1] = {}): Promise<Row<'projects'>> {
      return addProject(db, {
        instance: forge.url,
        repository_id: String(repository.id),
        full_name: 'maria/shop',
        installation_id: String(installation),
        own_actor_id: String(bot.id),
        ...more,
      })
    },
  }
}
