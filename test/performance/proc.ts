import { readdirSync, readFileSync } from 'node:fs'

/** Clock ticks of /proc per second: a constant of the kernel's interface on every machine we run on. */
const TICKS = 100

/** CPU seconds that a process has used, its threads included, its children not. */
export function cpuSeconds(pid: number): number {
  const { own } = ticksOf(pid)
  return own / TICKS
}

/** CPU seconds of a process and of all its children, those that ended as well: a database server's backends. */
export function treeCpuSeconds(pid: number): number {
  const children = readdirSync('/proc').filter((name) => /^\d+$/.test(name))
  let sum = ticksOf(pid).own + ticksOf(pid).ended
  for (const child of children) {
    try {
      const ticks = ticksOf(Number(child))
      if (ticks.parent === pid) sum += ticks.own
    } catch {
      // It ended while we looked.
    }
  }
  return sum / TICKS
}

/** Resident memory of a process, bytes: now, and at its highest. */
export function memoryOf(pid: number): { readonly now: number; readonly peak: number } {
  const status = readFileSync(`/proc/${pid}/status`, 'utf8')
  const read = (name: string) => Number(new RegExp(`^${name}:\\s+(\\d+) kB`, 'm').exec(status)?.[1] ?? 0) * 1024
  return { now: read('VmRSS'), peak: read('VmHWM') }
}

/** Bytes that a process has asked its files and sockets for and got, since its start. */
export function bytesRead(pid: number): number {
  return Number(/^rchar: (\d+)$/m.exec(readFileSync(`/proc/${pid}/io`, 'utf8'))?.[1])
}

function ticksOf(pid: number): { own: number; ended: number; parent: number } {
  const stat = readFileSync(`/proc/${pid}/stat`, 'utf8')
  // The name before it may hold anything, so fields count from its closing bracket.
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
  const field = (number: number) => Number(fields[number - 3])
  return { own: field(14) + field(15), ended: field(16) + field(17), parent: field(4) }
}
