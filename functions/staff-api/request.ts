import type { Context } from 'hono'
import * as v from 'valibot'
import { operations } from '#api/operations.gen.ts'
import { schemaProblems } from '#shared/schema-problems.ts'
import { notFound, type OperationId } from './handler.ts'

/** Parameters of a query that are numbers; all others are text. */
const numbers: readonly string[] = ['limit', 'number']

/** The request by the contract: path, query and body, or what is wrong with them. */
export async function parseRequest(c: Context, id: OperationId) {
  const { pathSchema, querySchema, bodySchema, bodyRequired } = operations[id]
  const path = pathSchema && v.safeParse(pathSchema, c.req.param())
  // Not even an id: there is no such thing.
  if (path?.success === false) return notFound
  const query = readQuery(c, querySchema)
  if (typeof query === 'string') return invalid(query)
  let body: unknown
  if (bodySchema !== undefined) {
    const text = await c.req.text()
    if (text !== '' || bodyRequired) {
      if (!/^application\/json(\s*;|$)/i.test(c.req.header('content-type') ?? ''))
        return { refused: { status: 415, code: 'not_json', title: 'Content-Type has to be application/json' } }
      const parsed = v.safeParse(v.pipe(v.string(), v.parseJson()), text)
      if (!parsed.success) return invalid('The body is not JSON.')
      const held = v.safeParse(bodySchema as v.GenericSchema, parsed.output)
      if (!held.success) return invalid(schemaProblems(held.issues))
      body = held.output
    }
  }
  return { path: path?.output, query, body }
}

/** Every parameter once, and none that the contract does not know: a filter that is spelled wrong is no filter. */
function readQuery(c: Context, schema: (typeof operations)[OperationId]['querySchema']): object | string | undefined {
  const given = Object.entries(c.req.queries())
  const known = Object.keys(schema?.entries ?? {})
  if (given.some(([name, values]) => !known.includes(name) || values.length > 1))
    return `Parameters, each at most once: ${known.join(', ') || 'none'}.`
  if (schema === undefined) return undefined
  const values = given.map(([name, [value = '']]) => [name, numbers.includes(name) ? numberOf(value) : value])
  const parsed = v.safeParse(schema, Object.fromEntries(values))
  return parsed.success ? parsed.output : schemaProblems(parsed.issues)
}

const numberOf = (text: string) => (/^[0-9]{1,10}$/.test(text) ? Number(text) : text)

const invalid = (detail: string) => ({
  refused: { status: 400, code: 'invalid', title: 'The request is not as the contract says', detail },
})
