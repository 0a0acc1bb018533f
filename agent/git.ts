import { execFile } from 'node:child_process'

/** Settings that hold for every git call of ours, whatever the machine or a repository says. */
const settings: readonly (readonly [string, string])[] = [
  ['core.hooksPath', '/dev/null'],
  ['core.fsmonitor', 'false'],
  ['core.symlinks', 'true'],
  ['core.quotePath', 'false'],
  ['credential.helper', ''],
  ['fetch.recurseSubmodules', 'false'],
  ['gc.auto', '0'],
  ['http.followRedirects', 'false'],
  ['init.defaultBranch', 'main'],
  ['protocol.allow', 'never'],
  ['protocol.file.allow', 'never'],
  ['protocol.http.allow', 'always'],
  ['protocol.https.allow', 'always'],
  ['safe.directory', '*'],
]

/** Where and with what one git command runs. */
export interface GitCall {
  readonly cwd: string
  readonly path: string
  readonly signal: AbortSignal
  readonly stdin?: Buffer
  /** Sent as `Authorization` header; given in the environment, so neither in a file nor on the command line. */
  readonly bearer?: string
  /** Exit codes that are no failure, besides 0. */
  readonly accept?: readonly number[]
}

/** Runs git without the machine's and the user's configuration, hooks, prompts, helpers and other transports. */
export function git(args: readonly string[], call: GitCall): Promise<Buffer> {
  const bearer: readonly (readonly [string, string])[] =
    call.bearer === undefined ? [] : [['http.extraHeader', `Authorization: Bearer ${call.bearer}`]]
  const config = [...settings, ...bearer]
  const env: Record<string, string> = {
    PATH: call.path,
    HOME: '/nonexistent',
    LC_ALL: 'C',
    GIT_CONFIG_NOSYSTEM: '1',
    GIT_CONFIG_GLOBAL: '/dev/null',
    GIT_TERMINAL_PROMPT: '0',
    GIT_LFS_SKIP_SMUDGE: '1',
    GIT_CONFIG_COUNT: String(config.length),
  }
  for (const [index, [key, value]] of config.entries()) {
    env[`GIT_CONFIG_KEY_${index}`] = key
    env[`GIT_CONFIG_VALUE_${index}`] = value
  }
  return new Promise((resolve, reject) => {
    const options = {
      cwd: call.cwd,
      env,
      signal: call.signal,
      encoding: 'buffer',
      maxBuffer: 256 * 1024 * 1024,
    } as const
    const child = execFile('git', args, options, (error, stdout, stderr) => {
      if (error === null || call.accept?.includes(Number(error.code))) return resolve(stdout)
      const said = stderr.toString().trim().split('\n').at(-1)
      reject(new Error(`git ${args[0]}: ${said === '' || said === undefined ? error.message : said}`, { cause: error }))
    })
    // A git that ends before it read everything says why by its exit code.
    child.stdin?.on('error', () => undefined)
    child.stdin?.end(call.stdin)
  })
}
