import { createServer } from 'node:http'
import { json } from 'node:stream/consumers'
import { ask, type Answer, type Ask } from '../ask.ts'
import type { SignedBody } from '../corpus.ts'
import { sendLoad, type Load, type LoadResult } from '../load.ts'

// Runs in a pod: asks functions by the cluster's own way, as broker and agents do, and says how long it took.

/** What it is told. */
export type Errand =
  | { readonly kind: 'ask'; readonly base: string; readonly asked: Ask }
  | { readonly kind: 'load'; readonly load: Load; readonly bodies: readonly SignedBody[] }

/** An answer and its times. */
export interface Asked extends Answer {
  /** When it was asked, milliseconds since 1970. */
  readonly at: number
  /** To the end of the answer, milliseconds. */
  readonly milliseconds: number
}

/** What it says. */
export type Outcome<E extends Errand> = E extends { kind: 'ask' } ? Asked : LoadResult

const run = async (errand: Errand): Promise<Asked | LoadResult> => {
  if (errand.kind === 'load') return sendLoad(errand.load, errand.bodies)
  const [at, since] = [Date.now(), performance.now()]
  const answer = await ask(errand.base, errand.asked)
  return { ...answer, at, milliseconds: performance.now() - since }
}

createServer((incoming, outgoing) => {
  json(incoming)
    .then((errand) => run(errand as Errand))
    .then((outcome) => outgoing.end(JSON.stringify(outcome)))
    .catch((error: unknown) => outgoing.writeHead(500).end(String(error)))
}).listen(8080)
