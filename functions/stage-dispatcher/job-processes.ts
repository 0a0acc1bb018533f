import { readdirSync, readFileSync, readlinkSync, statSync } from 'node:fs'
import { setTimeout as pause } from 'node:timers/promises'

/** How often what belongs to a Job is looked for and killed before it is given up: what forks faster than this is left. */
const ROUNDS = 200

/** Between two looks, milliseconds. */
const PAUSE_MS = 10

/** Says where somebody is, not whom the process belongs to: a shell that was opened in the folder is not the agent's. */
const elsewhere = new Set(['PWD', 'OLDPWD'])

/**
 * Processes of a Job wherever they went: out of the agent's process group, out of its session, away from their parent.
 * They are known by their environment, which names the Job's folder and is inherited; where agents have a user of their
 * own also by the place they work in, so that an empty environment is not enough to get away.
 */
export function processesOf(folder: string, user: number | undefined): number[] {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name) && Number(name) !== process.pid)
    .map(Number)
    .filter((pid) => belongs(pid, `${folder}/`, user))
}

/** Kills what belongs to the Job until nothing does. False when there still was something in the end. */
export async function killProcesses(folder: string, user: number | undefined): Promise<boolean> {
  for (let round = 1; round <= ROUNDS; round += 1) {
    const pids = processesOf(folder, user)
    if (pids.length === 0) return true
    for (const pid of pids) kill(pid)
    await pause(PAUSE_MS)
  }
  return false
}

function belongs(pid: number, within: string, user: number | undefined): boolean {
  try {
    if (user !== undefined && statSync(`/proc/${pid}`).uid !== user) return false
    // A zombie has no environment and no place: it is gone already.
    const entries = readFileSync(`/proc/${pid}/environ`, 'latin1').split('\0')
    if (entries.some((entry) => names(entry, within))) return true
    return user !== undefined && `${readlinkSync(`/proc/${pid}/cwd`)}/`.startsWith(within)
  } catch {
    return false // It ended meanwhile, or is somebody else's.
  }
}

function names(entry: string, within: string): boolean {
  const equals = entry.indexOf('=')
  return entry.startsWith(within, equals + 1) && !elsewhere.has(entry.slice(0, equals))
}

function kill(pid: number): void {
  try {
    process.kill(pid, 'SIGKILL')
  } catch {
    // It went by itself.
  }
}
