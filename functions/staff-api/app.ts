import { Hono, type Context } from 'hono'
import { bodyLimit } from 'hono/body-limit'
import * as v from 'valibot'
import { operations } from '#api/operations.gen.ts'
import { answerError } from '#shared/edge/event-app.ts'
import { problem, type Problem } from '#shared/edge/problem.ts'
import type { App } from '#shared/edge/serve.ts'
import { Denied, NotThere } from '#shared/forge/github/failure.ts'
import { accessOperations, rolesOf } from './access.ts'
import { repositoryNotFound } from './at-forge.ts'
import { checkOperations } from './checks.ts'
import { connectionOperations } from './connection.ts'
import { decideAccess, visibleProjects, type Held } from './decide.ts'
import { eventProject } from './event-rows.ts'
import { eventOperations } from './events.ts'
import {
  notFound,
  type Answer,
  type Asked,
  type Clients,
  type Config,
  type OperationId,
  type Operations,
} from './handler.ts'
import { ledgerOperations } from './ledger.ts'
import { projectOperations } from './projects.ts'
import { redriveOperations } from './redrive.ts'
import { remember } from './remember.ts'
import { parseRequest } from './request.ts'
import { runOperations } from './runs.ts'
import { stuckOperations } from './stuck.ts'

/** Largest body, bytes: a hundred deliveries to redrive. */
const MAX_BODY_BYTES = 64 * 1024

/** The door for people and their tools: every operation of the contract, for who may. */
export function create(config: Config, clients: Clients): App {
  const { db, log } = clients
  const all: Operations = {
    ...runOperations(clients),
    ...eventOperations(clients),
    ...stuckOperations(clients),
    ...redriveOperations(clients),
    ...projectOperations(config, clients),
    ...connectionOperations(config, clients),
    ...checkOperations(config, clients),
    ...ledgerOperations(clients),
    ...accessOperations(clients),
  }
  const review = remember(clients.review)
  const app = new Hono()
  app.use(
    bodyLimit({
      maxSize: MAX_BODY_BYTES,
      onError: () => problem({ status: 413, code: 'too_large', title: `At most ${MAX_BODY_BYTES} bytes` }),
    }),
  )
  for (const id of Object.keys(operations) as OperationId[]) {
    const { method, path } = operations[id]
    app.on(method, path, (c) => answer(c, id))
  }
  for (const path of new Set(Object.values(operations).map((operation) => operation.path)))
    app.all(path, () =>
      problem({
        status: 405,
        code: 'method_not_allowed',
        title: 'This is not done here',
        detail: 'See api/openapi.yaml.',
      }),
    )
  app.notFound(() => problem(notFound.refused))
  app.onError((error) => forgeRefused(error) ?? answerError(error, log))
  return { fetch: (request) => app.fetch(request), close: () => db.destroy() }

  async function answer<K extends OperationId>(c: Context, id: K): Promise<Response> {
    const operation = operations[id]
    const token = /^Bearer ([\x21-\x7e]{1,16384})$/i.exec(c.req.header('authorization') ?? '')?.[1]
    const caller = token === undefined ? undefined : await review(token)
    if (caller === undefined) return unauthorized(config.audiences)
    const parsed = await parseRequest(c, id)
    if ('refused' in parsed) return problem(parsed.refused)
    const held = await rolesOf(db, config.admins, caller)
    const denied = await deny(id, parsed.path, held)
    if (denied !== undefined) {
      log.info({ operation: id, user: caller.user, code: denied.code }, 'refused')
      return problem(denied)
    }
    const asked = { caller, held, sees: visibleProjects(held), ...parsed } as unknown as Asked<K>
    const result: Answer<K> = await (all[id] as (asked: Asked<K>) => Promise<Answer<K>>)(asked)
    const isRead = operation.method === 'GET'
    if (isRefusal(result)) {
      log.info({ operation: id, user: caller.user, code: result.refused.code }, 'refused')
      const after = result.retryAfterSeconds
      return problem(result.refused, after === undefined ? {} : { 'retry-after': String(after) })
    }
    if (!isRead) log.info({ operation: id, user: caller.user, ...(parsed.path as object | undefined) }, 'done')
    if (config.checkAnswers === true) v.parse(operation.responseSchema, result)
    return c.json(result, 200, { 'cache-control': 'no-store' })
  }

  /** Why somebody may not; undefined when they may. What is not visible to them is not found. */
  async function deny(id: OperationId, path: unknown, held: readonly Held[]): Promise<Problem | undefined> {
    const { role, scope } = operations[id]
    if (role === 'anybody') return undefined
    const about =
      scope === 'all' ? { project: null } : await projectOf(path as Readonly<Record<string, string>> | undefined)
    // A list shows what they may see, and an action on several looks at each.
    if (about === 'list') return held.length > 0 ? undefined : forbidden(role)
    if (about === undefined) return notFound.refused
    const access = decideAccess(held, { role, project: about.project })
    if (access === 'allowed') return undefined
    return access === 'invisible' && scope === 'project' ? notFound.refused : forbidden(role)
  }

  /** The project that a path is about; `list`: it names nothing; undefined: there is no such thing. */
  async function projectOf(
    path: Readonly<Record<string, string>> | undefined,
  ): Promise<{ readonly project: string | null } | 'list' | undefined> {
    const { project, run, event } = path ?? {}
    if (project !== undefined)
      return db.selectFrom('projects').select('id as project').where('id', '=', project).executeTakeFirst()
    if (run !== undefined)
      return db.selectFrom('runs').select('project_id as project').where('id', '=', run).executeTakeFirst()
    if (event === undefined) return 'list'
    return db
      .selectFrom('outbox')
      .leftJoin('inbox', 'inbox.id', 'outbox.inbox_id')
      .select(eventProject.as('project'))
      .where('outbox.id', '=', event)
      .executeTakeFirst()
  }
}

const isRefusal = (answer: object): answer is Extract<Answer<OperationId>, { refused: unknown }> => 'refused' in answer

/** What a person has to mend at the forge is no temporary failure. */
function forgeRefused(error: Error): Response | undefined {
  if (error instanceof NotThere) return problem(repositoryNotFound.refused)
  if (!(error instanceof Denied)) return undefined
  return problem({
    status: 409,
    code: 'forge_denied',
    title: 'The forge does not let us do this',
    detail: 'GET /v1/checks, or kn codex doctor, says which permission is missing, or that the credentials are wrong.',
  })
}

const forbidden = (role: string): Problem => ({
  status: 403,
  code: 'forbidden',
  title: 'You may not do this',
  detail: `It needs the role ${role} here. Ask an admin of this installation; GET /v1/whoami says what you have.`,
})

const unauthorized = (audiences: readonly string[]) =>
  problem(
    {
      status: 401,
      code: 'unauthorized',
      title: 'A valid token of this cluster is needed',
      detail: `Its audience has to be ${audiences.join(' or ')}: kubectl create token NAME --audience ${audiences[0]}`,
    },
    { 'www-authenticate': 'Bearer' },
  )
