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
