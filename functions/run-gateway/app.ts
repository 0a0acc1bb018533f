import { Hono, type Context } from 'hono'
import { bodyLimit } from 'hono/body-limit'
import * as v from 'valibot'
import type { Db } from '#shared/db/connect.ts'
import { Sha256 } from '#shared/digest.ts'
import { answerError } from '#shared/edge/event-app.ts'
import { problem } from '#shared/edge/problem.ts'
import type { App } from '#shared/edge/serve.ts'
import { PermanentError } from '#shared/errors.ts'
import { readOnlyGitToken } from '#shared/forge/github/git-credential.ts'
import type { GitHub } from '#shared/forge/github/client.ts'
import { repositoryRef } from '#shared/forge/github/repository-ref.ts'
import { MAX_BLOB_BYTES, Progress, ResultManifest } from '#shared/job/result.ts'
import { verifyToken } from '#shared/job/token.ts'
import type { Log } from '#shared/log.ts'
import type { Relay } from '#shared/outbox/relay.ts'
import { inRunSpan } from '#shared/run/trace.ts'
import { schemaProblems } from '#shared/schema-problems.ts'
import { proxyGit } from './git.ts'
import { upload, type OpenAttempt } from './handler.ts'
import { isStorable } from './storable.ts'
import { store } from './store.ts'
import { stringsIn, tokenScan } from './token-scan.ts'

/** The key that run tokens are made with, and where the forge serves git. */
export interface Config {
  readonly tokenKey: string
  /** Root of clone URLs, e.g. `https://github.com`. */
  readonly gitUrl: string
}

/** Largest result manifest, bytes: 10,000 paths of ordinary length. */
const MAX_RESULT_BYTES = 4 * 1024 * 1024
const MAX_PROGRESS_BYTES = 4 * 1024
/** Wants and haves of a fetch. */
const MAX_FETCH_BYTES = 8 * 1024 * 1024

/** The only door an agent has: its input, read-only git, progress, and one result; one token per attempt. */
export function create(
  { tokenKey, gitUrl }: Config,
  { db, relay, log, github }: { db: Db; relay: Relay; log: Log; github: GitHub },
): App {
  const deps = store(db, relay)
  const { holdsToken, withheld } = tokenScan(tokenKey)
  const app = new Hono()
  const limit = (maxSize: number) =>
    bodyLimit({
      maxSize,
      onError: () =>
        problem({ status: 413, code: 'too_large', title: 'Too large', detail: `At most ${maxSize} bytes.` }),
    })

  app.get(
    '/v1/input',
    withAttempt(async (c, attempt) => c.json(await deps.input(attempt))),
  )

  app.get(
    '/v1/blobs/:digest',
    withAttempt(async (c, attempt) => {
      const bytes = v.is(Sha256, c.req.param('digest'))
        ? await deps.inputBlob(attempt, c.req.param('digest') ?? '')
        : undefined
      return bytes === undefined
        ? notFound()
        : c.body(new Uint8Array(bytes), 200, { 'content-type': 'application/octet-stream' })
    }),
  )

  app.put(
    '/v1/blobs/:digest',
    limit(MAX_BLOB_BYTES),
    withAttempt(async (c, attempt) => {
      const digest = v.safeParse(Sha256, c.req.param('digest'))
      if (!digest.success) return notFound()
      const bytes = Buffer.from(await c.req.arrayBuffer())
      if (await holdsToken(attempt, [bytes])) return tokenInside()
      const saved = await upload(deps, attempt, digest.output, bytes)
      if (saved === 'saved') return c.body(null, 204)
      return saved === 'full'
        ? problem({ status: 413, code: 'uploads_full', title: 'This attempt has uploaded all it may' })
        : problem({ status: 400, code: 'digest_mismatch', title: 'The bytes have another digest' })
    }),
  )

  app.post(
    '/v1/progress',
    limit(MAX_PROGRESS_BYTES),
    withAttempt(async (c, attempt) => {
      const progress = withheld(attempt, parse(Progress, await json(c)))
      await deps.saveProgress(attempt, progress)
      log.info(
        { run: attempt.run, attempt: attempt.attempt, sequence: progress.sequence, kind: progress.kind },
        'progress',
      )
      return c.body(null, 204)
    }),
  )

  app.post(
    '/v1/heartbeat',
    withAttempt(async (c, attempt) => {
      await deps.saveHeartbeat(attempt)
      return c.body(null, 204)
    }),
  )

  app.post('/v1/result', limit(MAX_RESULT_BYTES), async (c) => {
    const ref = verifyToken(tokenKey, 'run', bearer(c))
    if (ref === undefined) return unauthorized()
    const result = parse(ResultManifest, await json(c))
    if (await holdsToken(ref, stringsIn(result))) return tokenInside()
    const outcome = await inRunSpan(db, ref.run, 'POST /v1/result', () => deps.saveResult(ref, result))
    log.info({ run: ref.run, attempt: ref.attempt, outcome }, 'result')
    if (outcome === 'accepted' || outcome === 'repeated') return c.body(null, 202)
    if (outcome === 'unknown_blob')
      return problem({ status: 400, code: outcome, title: 'The result names a blob that this attempt did not upload' })
    return problem({ status: 409, code: outcome, title: 'This attempt may not hand in a result (any more)' })
  })

  app.get(
    '/v1/git/info/refs',
    withAttempt(async (c, attempt) => {
      if (c.req.query('service') !== 'git-upload-pack')
        return problem({ status: 403, code: 'read_only', title: 'This repository can be read here, not written' })
      return proxyGit(await upstream(attempt), c.req.raw.headers, { kind: 'advertise' })
    }),
  )

  app.post(
    '/v1/git/git-upload-pack',
    limit(MAX_FETCH_BYTES),
    withAttempt(async (c, attempt) =>
      proxyGit(await upstream(attempt), c.req.raw.headers, {
        kind: 'upload-pack',
        body: new Uint8Array(await c.req.arrayBuffer()),
      }),
    ),
  )

  app.notFound(notFound)
  app.onError((error) => answerError(error, log))
  return { fetch: (request) => app.fetch(request), close: () => db.destroy() }

  function withAttempt(handle: (c: Context, attempt: OpenAttempt) => Promise<Response>) {
    return async (c: Context): Promise<Response> => {
      const ref = verifyToken(tokenKey, 'run', bearer(c))
      if (ref === undefined) return unauthorized()
      const attempt = await deps.attempt(ref)
      return typeof attempt === 'string'
        ? problem({
            status: 409,
            code: attempt,
            title: 'This attempt may not speak any more',
            detail: 'Stop: nothing of it will be used.',
          })
        : inRunSpan(db, ref.run, `${c.req.method} ${c.req.routePath}`, () => handle(c, attempt))
    }
  }

  async function upstream({ project: id }: OpenAttempt) {
    const project = await db.selectFrom('projects').selectAll().where('id', '=', id).executeTakeFirstOrThrow()
    const repository = repositoryRef(project, github)
    return { url: `${gitUrl}/${repository.fullName}.git`, token: () => readOnlyGitToken(github, repository) }
  }
}

function bearer(c: Context): string {
  return /^Bearer (\S+)$/.exec(c.req.header('authorization') ?? '')?.[1] ?? ''
}

async function json(c: Context): Promise<unknown> {
  let value: unknown
  try {
    value = JSON.parse(await c.req.text())
  } catch {
    // Without the cause: its message quotes the body.
    throw new PermanentError('the body is not JSON')
  }
  if (!isStorable(value)) throw new PermanentError('the body has text or numbers that cannot be stored, or is too deep')
  return value
}

function parse<S extends v.GenericSchema>(schema: S, value: unknown): v.InferOutput<S> {
  const parsed = v.safeParse(schema, value)
  if (!parsed.success) throw new PermanentError(schemaProblems(parsed.issues))
  return parsed.output
}

const notFound = () => problem({ status: 404, code: 'not_found', title: 'Not found' })
const tokenInside = () =>
  problem({
    status: 400,
    code: 'token_inside',
    title: 'It holds a token of this attempt',
    detail: 'Leave the token out.',
  })
const unauthorized = () =>
  problem(
    { status: 401, code: 'unauthorized', title: 'A token of this run is needed' },
    { 'www-authenticate': 'Bearer' },
  )
