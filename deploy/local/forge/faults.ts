/** What happens to a request instead of, or on top of, its normal course. */
export type FaultEffect =
  | 'drop-before'
  | 'apply-then-drop'
  | { readonly delayMs: number }
  | {
      readonly status: number
      readonly headers?: Readonly<Record<string, string>>
      readonly body?: unknown
      /** The message repeats the headers of the request, credentials included, as some proxies do. */
      readonly echo?: true
    }

/** A fault for the next requests that match. */
export interface Fault {
  readonly method?: string
  /** Regular expression on path and query. */
  readonly path: string
  readonly times?: number
  readonly then: FaultEffect
}

/** The faults waiting for their requests. */
export interface Faults {
  add(fault: Fault): void
  clear(): void
  /** The effect for a request, which uses up one of its times. */
  take(method: string, path: string): FaultEffect | undefined
}

/** Faults in the order in which they were added. */
export function createFaults(): Faults {
  let faults: { fault: Fault; pattern: RegExp; left: number }[] = []
  return {
    add: (fault) => void faults.push({ fault, pattern: new RegExp(fault.path), left: fault.times ?? 1 }),
    clear: () => void (faults = []),
    take(method, path) {
      const hit = faults.find(
        ({ fault, pattern, left }) =>
          left > 0 && (fault.method === undefined || fault.method === method) && pattern.test(path),
      )
      if (hit) hit.left--
      return hit?.fault.then
    },
  }
}
