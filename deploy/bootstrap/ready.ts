import { setTimeout as delay } from 'node:timers/promises'
import { InstallError } from './install-error.ts'
import { getAll, type Kubectl, type Resource } from './kubectl.ts'
import type { Output } from './output.ts'
import { unready, type Stage } from './stages.ts'

/** Longest wait until what a step made does its work, seconds; an image may have to be fetched. */
const PATIENCE: Readonly<Partial<Record<Stage, number>>> = {
  database: 300,
  migrations: 900,
  functions: 300,
  eventing: 180,
}

/** Waits until all of them do their work. What will never do it, or not in time, is said with what it says of itself. */
export async function ready(
  kubectl: Kubectl,
  resources: readonly Resource[],
  stage: Stage,
  out: Output,
): Promise<void> {
  const patience = (PATIENCE[stage] ?? 60) * 1000
  let told = 0
  for (const began = performance.now(); ; await delay(500)) {
    const live = await getAll(kubectl, resources)
    const waiting = live.flatMap((each) => {
      const state = unready(each)
      return state === undefined ? [] : [{ each, ...state }]
    })
    if (waiting.length === 0) return
    for (const { each } of waiting) {
      const { failed = 0 } = (each.status ?? {}) as { failed?: number }
      if (each.kind !== 'Job' || failed <= told) continue
      told = failed
      out.line(`  Job ${each.metadata.name} failed and is tried again: ${await lastWords(kubectl, each, 1)}`)
    }
    const late = performance.now() - began > patience
    const [worst] = waiting.filter(({ failed }) => failed || late)
    if (worst === undefined) continue
    const { kind, metadata } = worst.each
    const where = `--namespace ${metadata.namespace ?? ''}`
    if (kind === 'Job')
      throw new InstallError(
        `Job ${metadata.name}: ${worst.why}\n${await lastWords(kubectl, worst.each, 5)}`,
        `mend what it says and install again; all of it: kubectl logs job/${metadata.name} ${where}`,
      )
    throw new InstallError(
      `${kind} ${metadata.name}: ${worst.why}`,
      `kubectl describe ${kind.toLowerCase()} ${metadata.name} ${where}; install again when it is mended`,
    )
  }
}

async function lastWords(kubectl: Kubectl, { metadata }: Resource, lines: number): Promise<string> {
  const inNamespace = ['--namespace', metadata.namespace ?? '']
  const log = await kubectl(['logs', `job/${metadata.name}`, ...inNamespace, '--tail', String(lines)]).catch(() => '')
  return log.trim() || 'it says nothing'
}
