import * as v from 'valibot'

/** The environment a `main.ts` needs, parsed. Ends the process with every bad variable named, never its value. */
export function readEnv<const S extends v.ObjectSchema<v.ObjectEntries, undefined>>(schema: S): v.InferOutput<S> {
  const parsed = v.safeParse(schema, process.env)
  if (parsed.success) return parsed.output
  for (const [name, problems] of Object.entries(v.flatten<S>(parsed.issues).nested ?? {})) {
    const missing = process.env[name] === undefined
    process.stderr.write(
      `${name}: ${missing ? 'is not set' : `is not valid (${(problems as string[]).length} problem)`}\n`,
    )
  }
  process.exit(78) // EX_CONFIG
}

/** A TCP port, 0 for any. Knative sets PORT. */
export const Port = v.pipe(v.optional(v.string(), '8080'), v.toNumber(), v.integer(), v.minValue(0), v.maxValue(65_535))

/** An absolute http(s) URL without a trailing slash. */
export const BaseUrl = v.pipe(
  v.string(),
  v.url(),
  v.startsWith('http'),
  v.transform((url) => url.replace(/\/+$/, '')),
)

/** What every function is told: where it listens, its database, the broker's ingress, how much it logs. */
export const common = {
  PORT: Port,
  HOST: v.optional(v.string()),
  DATABASE_URL: v.pipe(v.string(), v.startsWith('postgres')),
  BROKER_URL: BaseUrl,
  LOG_LEVEL: v.optional(v.picklist(['silent', 'debug', 'info', 'warn', 'error']), 'info'),
  // OpenTelemetry's own names; its exporter reads the other ones, such as headers, by itself.
  OTEL_EXPORTER_OTLP_ENDPOINT: v.optional(v.string()),
  OTEL_EXPORTER_OTLP_TRACES_ENDPOINT: v.optional(v.string()),
  OTEL_TRACES_SAMPLER_ARG: v.optional(v.pipe(v.string(), v.toNumber(), v.minValue(0), v.maxValue(1))),
}

/** What a function that talks to the forge is told besides: the API's root and where its credentials are mounted. */
export const forge = {
  GITHUB_URL: v.optional(BaseUrl, 'https://api.github.com'),
  FORGE_AUTH_DIR: v.string(),
}

/** The key that run and model tokens are made with. */
export const TokenKey = v.pipe(v.string(), v.minLength(32))

/** Where the other functions are: `http://{function}.codex-k8s.svc.cluster.local`. */
export const services = {
  SERVICE_URL_TEMPLATE: v.optional(v.string(), 'http://{function}'),
  /** Addresses that no template can name, as on one machine: a JSON object by function. */
  SERVICE_URLS: v.pipe(v.optional(v.string(), '{}'), v.parseJson(), v.record(v.string(), BaseUrl)),
}

/** The address of a function by what `services` says. */
export const serviceUrlBy =
  (env: { readonly SERVICE_URL_TEMPLATE: string; readonly SERVICE_URLS: Readonly<Record<string, string>> }) =>
  (name: string): string =>
    env.SERVICE_URLS[name] ?? env.SERVICE_URL_TEMPLATE.replace('{function}', name)

/** Names of namespaces, with commas. */
export const Namespaces = v.pipe(
  v.string(),
  v.transform((text) => text.split(',').flatMap((name) => name.trim() || [])),
  v.array(v.pipe(v.string(), v.regex(/^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$/))),
)
