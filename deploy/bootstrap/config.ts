import { existsSync, readFileSync } from 'node:fs'
import { dirname, resolve } from 'node:path'
import * as v from 'valibot'
import { parse } from 'yaml'
import { Gates } from '#shared/workflow/gates.ts'

const Name = v.pipe(v.string(), v.regex(/^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$/, 'is not a name of Kubernetes'))
const Url = v.pipe(
  v.string(),
  v.url('is not a URL'),
  v.regex(/^https?:\/\//, 'is not an http(s) URL'),
  v.transform((url) => url.replace(/\/+$/, '')),
)
/** A repository as people write it: OWNER/NAME. */
export const RepositoryName = v.pipe(
  v.string(),
  v.regex(/^[A-Za-z0-9_-]{1,100}\/[A-Za-z0-9._-]{1,100}$/, 'is not OWNER/NAME'),
)
/** One of a list that reaches its function with commas between. */
const Listed = v.pipe(v.string(), v.regex(/^[^\s,]{1,253}$/, 'is empty, or has a comma or white space'))

/** Where a secret is. Never the secret itself: this file is shown, committed and printed. */
export const SecretRef = v.union(
  [
    v.strictObject({ env: v.pipe(v.string(), v.regex(/^[A-Za-z_][A-Za-z0-9_]*$/)) }),
    v.strictObject({ file: v.string() }),
    v.strictObject({ secret: v.strictObject({ namespace: v.optional(Name), name: v.string(), key: v.string() }) }),
  ],
  'is no reference: write { env: NAME }, { file: PATH } or { secret: { name, key } }, never the secret itself',
)
export type SecretRef = v.InferOutput<typeof SecretRef>

const Forge = v.pipe(
  v.strictObject({
    apiUrl: v.optional(Url, 'https://api.github.com'),
    gitUrl: v.optional(Url, 'https://github.com'),
    app: v.optional(
      v.strictObject({ id: v.pipe(v.union([v.string(), v.number()]), v.transform(String)), privateKey: SecretRef }),
    ),
    token: v.optional(SecretRef),
  }),
  v.check(({ app, token }) => (app === undefined) !== (token === undefined), 'needs either app or token'),
)

const Quantity = v.pipe(v.string(), v.regex(/^[1-9][0-9]{0,9}([KMGT]i?)?$/, 'is no size such as 5Gi'))

const Database = v.pipe(
  v.strictObject({
    ownerUrl: v.optional(SecretRef),
    trial: v.optional(v.strictObject({ storage: v.optional(Quantity, '5Gi'), storageClass: v.optional(v.string()) })),
  }),
  v.check(
    ({ ownerUrl, trial }) => (ownerUrl === undefined) !== (trial === undefined),
    'needs either ownerUrl or trial',
  ),
)

/** The configuration of one installation; codex-k8s.example.yaml explains each key. */
export const Config = v.strictObject({
  context: v.optional(v.string()),
  namespace: v.optional(Name, 'codex-k8s'),
  runNamespaces: v.optional(v.pipe(v.array(Name), v.minLength(1)), ['codex-k8s-runs']),
  images: v.optional(
    v.strictObject({
      file: v.optional(v.string(), 'dist/images.json'),
      pin: v.optional(v.picklist(['digest', 'tag']), 'digest'),
    }),
    {},
  ),
  publicUrl: v.optional(Url),
  broker: v.optional(
    v.strictObject({
      class: v.optional(v.picklist(['MTChannelBasedBroker', 'RabbitMQBroker', 'Kafka']), 'MTChannelBasedBroker'),
      url: v.optional(Url),
      rabbitmq: v.optional(
        v.strictObject({
          uri: Url,
          port: v.optional(v.pipe(v.union([v.string(), v.number()]), v.transform(String)), '5672'),
          username: SecretRef,
          password: SecretRef,
        }),
      ),
    }),
    {},
  ),
  database: Database,
  forge: Forge,
  model: v.optional(
    v.strictObject({
      url: v.optional(Url, 'https://api.openai.com/v1'),
      key: v.optional(SecretRef),
      names: v.optional(v.array(Listed), []),
    }),
    {},
  ),
  staff: v.optional(
    v.strictObject({
      admins: v.optional(v.array(v.pipe(Listed, v.regex(/^(user|group):./, 'is not user:NAME or group:NAME'))), []),
      audiences: v.optional(v.pipe(v.array(Listed), v.minLength(1)), ['codex-k8s']),
    }),
    {},
  ),
  gates: v.optional(Gates, {}),
  otelEndpoint: v.optional(Url),
  logLevel: v.optional(v.picklist(['debug', 'info', 'warn', 'error']), 'info'),
  metrics: v.optional(v.boolean(), false),
  features: v.optional(v.array(v.picklist(['run-door', 'jobs-watch', 'warm-gateway'])), []),
  overlays: v.optional(v.array(v.string()), []),
  repositories: v.optional(
    v.array(
      v.strictObject({
        name: RepositoryName,
        maxActive: v.optional(v.pipe(v.number(), v.integer(), v.minValue(1), v.maxValue(1000))),
        settings: v.optional(v.record(v.string(), v.unknown())),
      }),
    ),
    [],
  ),
})
export type Config = v.InferOutput<typeof Config>

/** The configuration cannot be used; the message names every problem by its key, and never a value. */
export class ConfigError extends Error {
  override readonly name = 'ConfigError'
}

/** Reads and checks the file. Paths in it are relative to it. */
export function readConfig(path: string): Config {
  if (!existsSync(path))
    throw new ConfigError(`${path} is not there: cp codex-k8s.example.yaml ${path}, change it, and try again`)
  let raw: unknown
  try {
    raw = parse(readFileSync(path, 'utf8'))
  } catch (error) {
    // The parser's message shows the line, which may hold what does not belong there.
    const { linePos } = error as { linePos?: readonly { line: number }[] }
    throw new ConfigError(`${path}: line ${linePos?.[0]?.line ?? '?'} is not YAML`)
  }
  const config = parseConfig(raw ?? {}, path)
  const at = (file: string) => resolve(dirname(path), file)
  const images = { ...config.images, file: at(config.images.file) }
  return mapRefs({ ...config, images, overlays: config.overlays.map(at) }, (ref) =>
    'file' in ref ? { file: at(ref.file) } : ref,
  )
}

/** Checks a configuration that was read. */
export function parseConfig(raw: unknown, path = 'the configuration'): Config {
  const parsed = v.safeParse(Config, raw)
  const problems = parsed.success
    ? strangeNamespaces(parsed.output)
    : parsed.issues.map((issue) => `  ${v.getDotPath(issue) ?? '(all)'}: ${words(issue)}`)
  if (parsed.success && problems.length === 0) return parsed.output
  throw new ConfigError(`${path} cannot be used:\n${problems.join('\n')}`)
}

/** Where a repository's Jobs would run: somewhere that is not made would be noticed by its first run only. */
function strangeNamespaces({ repositories, runNamespaces }: Config): string[] {
  return repositories.flatMap(({ settings: { runNamespace } = {} }, index) =>
    runNamespace === undefined || (runNamespaces as readonly unknown[]).includes(runNamespace)
      ? []
      : [`  repositories.${index}.settings.runNamespace: is none of runNamespaces`],
  )
}

/** valibot's own sentences repeat what was received. */
function words(issue: v.BaseIssue<unknown>): string {
  if (issue.kind === 'schema' && issue.type === 'strict_object')
    return issue.expected === 'never'
      ? 'is not a key that is known'
      : issue.received === 'undefined'
        ? 'is missing'
        : 'has another form'
  return issue.message.startsWith('Invalid ') ? `has to be ${issue.expected ?? 'something else'}` : issue.message
}

function mapRefs(config: Config, map: (ref: SecretRef) => SecretRef): Config {
  const { broker, database, forge, model } = config
  const { rabbitmq } = broker
  const login = rabbitmq && { username: map(rabbitmq.username), password: map(rabbitmq.password) }
  return {
    ...config,
    broker: { ...broker, ...(rabbitmq && login && { rabbitmq: { ...rabbitmq, ...login } }) },
    database: { ...database, ...(database.ownerUrl && { ownerUrl: map(database.ownerUrl) }) },
    forge: {
      ...forge,
      ...(forge.token && { token: map(forge.token) }),
      ...(forge.app && { app: { ...forge.app, privateKey: map(forge.app.privateKey) } }),
    },
    model: { ...model, ...(model.key && { key: map(model.key) }) },
  }
}
