import { spawn } from 'node:child_process'

/** What tools say when something about the place is wrong, and what to do about it. */
const advice: readonly (readonly [said: RegExp, advice: string])[] = [
  [/daemon is not running|Cannot connect to the Docker daemon/i, 'start the daemon, or name another tool with --tool'],
  [
    /unauthorized|authentication required|access denied|requested access to the resource is denied/i,
    'log in to the registry first, with `TOOL login HOST`',
  ],
  [/no space left/i, 'the disk is full'],
  [
    /overlay.*(not permitted|not supported|invalid argument)|kernel does not support overlay/is,
    'this kernel gives us no overlay: set STORAGE_DRIVER=vfs',
  ],
  [
    /(unshare|clone|namespace|mount).*not permitted/is,
    'namespaces are not allowed here: set BUILDAH_ISOLATION=chroot, or build on another machine',
  ],
  [
    /manifest unknown|no such host|connection refused|i\/o timeout|not found|does not resolve|short-name/i,
    'if it is the base image that cannot be had, name one that you have with --base',
  ],
]

/** A tool that ended badly, with the end of what it said and what may help. */
export class ToolFailed extends Error {}

/** Runs a command to its end and returns what it printed. Throws `ToolFailed`. */
export async function run(command: string, args: readonly string[]): Promise<string> {
  const child = spawn(command, args, { stdio: ['ignore', 'pipe', 'pipe'] })
  let printed = ''
  let said = ''
  child.stdout.on('data', (bytes: Buffer) => (printed += bytes.toString()))
  child.stderr.on('data', (bytes: Buffer) => (said = (said + bytes.toString()).slice(-20_000)))
  const code = await new Promise<number | null>((resolve) => {
    child.once('error', (error) => {
      said = error.message
      resolve(null)
    })
    child.once('close', resolve)
  })
  if (code === 0) return printed.trim()
  const words = (said.trim() || printed.trim()).split('\n').slice(-12).join('\n')
  const help = advice.find(([pattern]) => pattern.test(words))?.[1].replaceAll('TOOL', command)
  throw new ToolFailed(
    `${command} ${args[0]} ended with ${code}:\n${words}${help === undefined ? '' : `\nWhat to do: ${help}`}`,
  )
}
