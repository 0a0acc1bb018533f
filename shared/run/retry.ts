const PREFIX = 'retry:'

/** The label event id of the one retry that a run can have: no forge's id looks like it. */
export const retryKey = (runId: string): string => PREFIX + runId

/** The run that this one repeats; undefined for a run of a label event of its own. */
export function retryOf(labelEventId: string): string | undefined {
  return labelEventId.startsWith(PREFIX) ? labelEventId.slice(PREFIX.length) : undefined
}
