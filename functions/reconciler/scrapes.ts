import { CompiledQuery } from 'kysely'
import type { Db } from '#shared/db/connect.ts'
import type { Ask } from './metrics.ts'

/** Longest time for one question, milliseconds. */
const QUESTION_MS = 3_000

/** How long an answer is good for whoever asks next, milliseconds. */
const FRESH_MS = 5_000

/**
 * Answers scrapes from the database: functions come and go, so what a process could count is no count. However many ask,
 * the database is asked once in five seconds. What writes the text is loaded at the first scrape, not at the start.
 */
export function scrapes(db: Db): () => Promise<Response> {
  const ask: Ask = (text) =>
    db
      .transaction()
      .setAccessMode('read only')
      .execute(async (tx) => {
        await tx.executeQuery(CompiledQuery.raw(`set local statement_timeout = ${QUESTION_MS}`))
        return (await tx.executeQuery<Readonly<Record<string, unknown>>>(CompiledQuery.raw(text))).rows
      })
  let answer: ReturnType<typeof load> | undefined
  const load = async () => {
    const { metricsText } = await import('./metrics.ts')
    return metricsText(ask).finally(() => setTimeout(() => (answer = undefined), FRESH_MS).unref())
  }
  return async () => {
    const { type, text } = await (answer ??= load())
    return new Response(text, { headers: { 'content-type': type } })
  }
}
