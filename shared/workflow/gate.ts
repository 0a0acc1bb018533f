import type { Manifest } from '#shared/job/bundle.ts'

/** Whether a stage starts without anybody's approval: the one rule that the router and the gate both apply. */
export function opens(gate: Manifest['gate']): boolean {
  return gate === null
}
