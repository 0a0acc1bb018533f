import { parseArgs } from 'node:util'

/** What a person may say to `npm start`. */
export interface Options {
  /** End when the pull request is open: status 0, or 1 with the reason. */
  readonly once: boolean
  /** The run waits until somebody else approves it. */
  readonly gate: boolean
  /** Request changes when the pull request is open, and wait for the run that follows. */
  readonly revise: boolean
  /** Each function's own main.ts as a process of its own. */
  readonly processes: boolean
  /** Let a real model's agent run without a sandbox. */
  readonly unsafeNoSandbox: boolean
  /** Port of the forge; the webhook gateway is on the next one. 0: any two that are free. */
  readonly port: number
  /** Every log line of every function. */
  readonly verbose: boolean
  /** Folder of what outlives a start; default `.local` in the checkout. */
  readonly home: string | undefined
  readonly model: { readonly url: string; readonly key: string; readonly name: string | undefined } | undefined
}

export const usage = `npm start -- [OPTION]...

  --once                end when the pull request is open (or revised): status 0, or 1 and the reason
  --gate                a second person has to approve the run; with --once that person does
  --revise              then request changes in a review, and show how the same pull request is revised
  --processes           run each function as a process of its own, as on Knative
  --port N              port of the forge, default 8480; the webhook gateway is on N + 1; 0 for any two
  --verbose             show every log line
  --unsafe-no-sandbox   let a real model's agent run where it cannot be locked in
  --help                this text

  OPENAI_API_KEY        use a real model; without it a scripted one plays the engineer
  OPENAI_BASE_URL       another provider with the Responses API, e.g. http://127.0.0.1:11434/v1
  MODEL                 its model, default the one of the stage
  CODEX_K8S_HOME        folder of the database, the keys and the Jobs, default .local here`

/** Reads arguments and environment. Throws an Error that says what is wrong; undefined when help was asked for. */
export function readOptions(
  args: readonly string[],
  env: Readonly<Record<string, string | undefined>>,
): Options | undefined {
  const { values } = parseArgs({
    args: [...args],
    options: {
      once: { type: 'boolean', default: false },
      gate: { type: 'boolean', default: false },
      revise: { type: 'boolean', default: false },
      processes: { type: 'boolean', default: false },
      'unsafe-no-sandbox': { type: 'boolean', default: false },
      port: { type: 'string', default: '8480' },
      verbose: { type: 'boolean', default: false },
      help: { type: 'boolean', default: false },
    },
  })
  if (values.help) return undefined
  const port = Number(values.port)
  if (!Number.isInteger(port) || port < 0 || port > 65_000)
    throw new Error(`--port ${values.port}: a number from 0 to 65000 is needed`)
  const { OPENAI_API_KEY: key, OPENAI_BASE_URL: url, MODEL: name } = env
  const wanted = Boolean(key) || Boolean(url)
  return {
    once: values.once,
    revise: values.revise,
    gate: values.gate,
    processes: values.processes,
    unsafeNoSandbox: values['unsafe-no-sandbox'],
    port,
    verbose: values.verbose,
    home: env['CODEX_K8S_HOME'] || undefined,
    model: wanted
      ? { url: (url || 'https://api.openai.com/v1').replace(/\/+$/, ''), key: key ?? '', name: name || undefined }
      : undefined,
  }
}
