import { seeded } from '../seeded.ts'

/** What goes wrong on the way from the broker to the triggers, the same for the same seed and order of events. */
export interface Faults {
  readonly seed: number
  /** Share of deliveries that are made twice, 0 to 1. */
  readonly duplicate?: number
  /** Longest delay before a delivery, milliseconds. The delays differ, so events overtake one another. */
  readonly delayMs?: number
}

/** For one delivery: a delay for every copy of it. */
export type Plan = () => readonly number[]

/** The plan of a broker at which nothing goes wrong. */
export const noFaults: Plan = () => [0]

/** The plan that the faults make. */
export function planFaults({ seed, duplicate = 0, delayMs = 0 }: Faults): Plan {
  const random = seeded(seed)
  return () => Array.from({ length: random() < duplicate ? 2 : 1 }, () => random() * delayMs)
}
