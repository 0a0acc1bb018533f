import * as v from 'valibot'

/** A tool call of the model and what came back, oldest first. */
export interface Step {
  readonly tool: string
  /** The command of `exec_command`, the patch of `apply_patch`. */
  readonly input: string
  readonly output: string
  /** Exit code, where the output tells one. */
  readonly exitCode: number | undefined
}

const Item = v.looseObject({
  type: v.string(),
  call_id: v.optional(v.string()),
  name: v.optional(v.string()),
  arguments: v.optional(v.string()),
  input: v.optional(v.string()),
  output: v.optional(v.unknown()),
  role: v.optional(v.string()),
  content: v.optional(v.nullable(v.array(v.looseObject({ text: v.optional(v.string()) })))),
})
type Item = v.InferOutput<typeof Item>

/** Body of `POST /v1/responses`, as far as the scripted model looks at it. */
export const ResponsesRequest = v.looseObject({
  model: v.string(),
  stream: v.optional(v.boolean()),
  input: v.union([v.string(), v.array(Item)]),
})
export type ResponsesRequest = v.InferOutput<typeof ResponsesRequest>

/** What the model is told to do, and what it has done about it. A conversation that goes on has a task for each turn. */
export interface Turn {
  /** The last message to the model. */
  readonly task: string
  readonly steps: readonly Step[]
}

/** The turn of a conversation that is under way. */
export function turnOf(request: ResponsesRequest): Turn {
  const items = typeof request.input === 'string' ? [] : request.input
  const last = items.findLastIndex(({ role }) => role === 'user')
  const task = (items[last]?.content ?? []).map(({ text = '' }) => text).join('\n')
  return { task, steps: stepsOf(items.slice(last + 1)) }
}

/** The steps of a turn. A call without an output is not a step yet. */
function stepsOf(items: readonly Item[]): Step[] {
  const outputs = new Map(
    items.filter(({ type }) => type.endsWith('_output')).map((item) => [item.call_id, item.output]),
  )
  return items.flatMap((item) => {
    if (!item.type.endsWith('_call') || !outputs.has(item.call_id)) return []
    const { exitCode, output } = splitOutput(outputs.get(item.call_id))
    return [{ tool: item.name ?? '', input: item.input ?? commandOf(item.arguments), output, exitCode }]
  })
}

/** The CLI puts a few lines about the process before the output. */
function splitOutput(output: unknown): { exitCode: number | undefined; output: string } {
  const text = typeof output === 'string' ? output : JSON.stringify(output ?? '')
  const code = /^(?:Process exited with code|Exit code:) (-?\d+)$/m.exec(text)?.[1]
  const start = /^Output:\n/m.exec(text)
  return {
    exitCode: code === undefined ? undefined : Number(code),
    output: start === null ? text : text.slice(start.index + start[0].length),
  }
}

function commandOf(json: string | undefined): string {
  try {
    const parsed = v.safeParse(v.looseObject({ cmd: v.string() }), JSON.parse(json ?? ''))
    return parsed.success ? parsed.output.cmd : ''
  } catch {
    return ''
  }
}
