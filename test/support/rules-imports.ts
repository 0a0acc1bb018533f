import { foldersIn, importsOf, isTest, under, type Files } from './repository.ts'

/** Functions meet in an event or in `shared/`; a decision is pure; only what starts everything imports functions. */
export function functionImports(files: Files): string[] {
  const pure = pureFiles(files)
  return [...files].flatMap(([path, text]) => {
    if (!path.endsWith('.ts')) return []
    const inFunction = path.startsWith('functions/')
    const own = path.split('/').slice(0, 2).join('/') + '/'
    return importsOf(path, text).flatMap((each) => {
      const problems: string[] = []
      if (inFunction && !isTest(path) && each.from.includes('../'))
        problems.push(`${path}: ${each.from} leaves its folder`)
      if (each.path?.startsWith('functions/') && (inFunction ? !each.path.startsWith(own) : !mayImportFunctions(path)))
        problems.push(`${path}: imports the function file ${each.path}`)
      if (isDecision(path) && !each.typeOnly && !each.from.startsWith('./'))
        problems.push(`${path}: ${each.from} is more than a type`)
      if (pure.has(path) && !each.typeOnly && touchesTheWorld.test(each.from))
        problems.push(`${path}: a decision is made of it, and ${each.from} touches the world`)
      return problems
    })
  })
}

/** Databases, sockets, files and clocks; computing with `node:crypto` or a matcher of globs is as pure as arithmetic. */
const touchesTheWorld =
  /^(#shared\/(db|outbox|run|edge|forge|env|log)\b|pg$|kysely|hono|@hono|pino|@octokit|@gitbeaker|@kubernetes|node:(?!crypto|buffer|path|util|assert))/

function isDecision(path: string): boolean {
  return /^functions\/[^/]+\/(decide|job-spec)\.ts$/.test(path)
}

/** Decisions, and the files beside them that they are made of. */
function pureFiles(files: Files): Set<string> {
  const pure = new Set([...files.keys()].filter(isDecision))
  for (const path of pure) {
    for (const each of importsOf(path, files.get(path) ?? '')) {
      if (!each.typeOnly && each.path && each.from.startsWith('./')) pure.add(each.path)
    }
  }
  return pure
}

function mayImportFunctions(path: string): boolean {
  // What checks the ledger is run by whoever distrusts the installation, so it is a command.
  return path.startsWith('deploy/local/') || /^deploy\/audit-(verify|rebuild)\.ts$/.test(path) || isTest(path)
}

/** Folders of `shared/` from the ground up; files directly in it are the ground. A layer imports what is below or beside it. */
const layers: Readonly<Record<string, number>> = {
  '': 0,
  'secret-scan': 0,
  telemetry: 0,
  events: 1,
  workflow: 1,
  job: 1,
  ledger: 1,
  db: 2,
  outbox: 3,
  project: 4,
  run: 4,
  edge: 4,
}

/** Imports inside `shared/` go downwards; `forge/` stands beside, on the first two layers, and nothing there stands on it. */
export function sharedLayers(files: Files): string[] {
  const unknown = foldersIn(files, 'shared/').filter((folder) => folder !== 'forge' && !(folder in layers))
  const upwards = under(files, 'shared/').flatMap(([path, text]) =>
    importsOf(path, text).flatMap(({ from, path: target }) => {
      if (isTest(path) || target === undefined) return []
      if (!target.startsWith('shared/')) return [`${path}: ${from} is outside shared/`]
      const [here, there] = [layerOf(path), layerOf(target)]
      if (here === there) return []
      const allowed = there !== 'forge' && (layers[there] ?? 0) <= (here === 'forge' ? 1 : (layers[here] ?? 0))
      return allowed ? [] : [`${path}: ${here || 'the ground'} may not import ${there}`]
    }),
  )
  return [...unknown.map((folder) => `shared/${folder}: its layer is not known`), ...upwards]
}

function layerOf(path: string): string {
  const [, folder = '', ...rest] = path.split('/')
  return rest.length === 0 ? '' : folder
}

/** Exports of `shared/` that have fewer than two users, with the reason why they are there all the same. */
const alone: Readonly<Record<string, string>> = {
  'shared/db/logins.ts#roles': 'the other half of ensureLogins, for the command that tries the logins it made',
  'shared/crash-point.ts#armCrashPoint': 'the other half of crashPoint, for the process that tests kill',
  'shared/outbox/deliver.ts#noteFailure': 'the protocol; the edge of every consumer calls it',
  'shared/edge/request-listener.ts#requestListener': 'a part of serve that is loaded after a start',
  'shared/edge/serve.ts#listen': 'serve is made of it; one machine runs all functions in one process',
  'shared/events/subscriptions.ts#consumersOf': 'the rule of the table, beside it',
  'shared/job/bundle.ts#CommitSha': 'part of the protocol between the platform and the agent',
  'shared/db/transaction.ts#unrefused': 'the other half of transaction, for what is one statement',
  'shared/outbox/write.ts#emitBeside': 'emit for many at once; only the webhook gateway has many',
  'shared/outbox/write.ts#LEASE_SECONDS': 'one length for leases that rows begin with and leases that are claimed',
  'shared/project/connect.ts#addProject': 'the other half of connectProject, for a hook whose secret is not there yet',
  'shared/run/retry.ts#retryKey': 'the other half of retryOf',
  'shared/outbox/deliver.ts#lookAgain': 'the protocol; a decision that a person sends is written like a delivery',
  'shared/outbox/overdue.ts#deliverOverdue': 'the protocol; the edge of every consumer calls it',
  'shared/telemetry/otlp.ts#otlpTracing': 'the one implementation of Tracing; loaded by name, only where it is wanted',
  'shared/telemetry/trace.ts#inTrace': 'the other half of inSpan; the edge of every consumer calls it',
  'shared/telemetry/trace.ts#flushSpans': 'the other half of inSpan; whoever listens awaits it before an answer',
  'shared/workflow/protected-paths.ts#protectedPaths': 'data of the workflow, apart for its reasons',
  'shared/job/result.ts#MAX_CHANGED_PATHS': 'a limit of the protocol between the platform and the agent',
  'shared/workflow/labels.ts#labels': 'the table itself; labelsOf is what a project makes of it',
  'shared/workflow/reasons.ts#reasons': 'the table itself; its codes are a type of every function',
  'shared/workflow/workflow.ts#parseWorkflow': 'a project may bring its own file; ours goes through it, too',
}

/**
 * What is in `shared/` has two users. Tests do not count; a type that another declaration of its own file speaks of is
 * part of that one. In `forge/` one user is enough: an adapter lies with the
 * other capabilities of its forge; and in `secret-scan/`, whose one door is made of its other files.
 */
export function sharedUsers(files: Files, exceptions: Readonly<Record<string, string>> = alone): string[] {
  if (foldersIn(files, 'functions/').length === 0) return []
  const users = new Map<string, Set<string>>()
  for (const [path, text] of files) {
    if (!path.endsWith('.ts') || isTest(path)) continue
    for (const { path: target, names } of importsOf(path, text)) {
      for (const name of names) {
        const key = `${target}#${name}`
        users.set(key, (users.get(key) ?? new Set()).add(path))
      }
    }
  }
  return under(files, 'shared/').flatMap(([path, text]) => {
    if (isTest(path)) return []
    return exportsOf(text).flatMap(({ name, isType }) => {
      if (isType && (text.match(new RegExp(`\\b${name}\\b`, 'g'))?.length ?? 0) > 1) return []
      const key = `${path}#${name}`
      const count = new Set([...(users.get(key) ?? []), ...(users.get(`${path}#*`) ?? [])]).size
      const needed = /^shared\/(forge|secret-scan)\//.test(path) ? 1 : 2
      if (key in exceptions) return count < needed ? [] : [`${key}: has ${count} users and needs no exception any more`]
      return count < needed ? [`${key}: ${count === 1 ? 'one user' : 'no user'}`] : []
    })
  })
}

function exportsOf(text: string): { name: string; isType: boolean }[] {
  const declared = text.matchAll(/^export\s+(?:async\s+)?(function\*?|const|let|class|interface|type)\s+([\w$]+)/gm)
  const kinds = new Map<string, boolean>()
  for (const [, kind = '', name = ''] of declared) {
    kinds.set(name, (kinds.get(name) ?? true) && /^(interface|type)$/.test(kind))
  }
  return [...kinds].map(([name, isType]) => ({ name, isType }))
}
