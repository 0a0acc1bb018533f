import type { Problem } from '#shared/edge/problem.ts'
import type { Manifest } from '#shared/job/bundle.ts'

type Json = Readonly<Record<string, unknown>>

/** What becomes of a request: the body the provider gets, built anew from what is allowed, or why there is none. */
export type Admission = { readonly request: Json } | { readonly refused: Problem }

/**
 * Fields that would make the provider keep, find or start something by itself. Absent, null and false are as good as
 * unsaid; what is neither here nor forwarded is dropped, such as metadata.
 */
const FORBIDDEN = ['background', 'previous_response_id', 'conversation', 'prompt'] as const

/** Kinds of tools that run in the agent's pod, and their fields. Every other kind runs at the provider. */
const TOOLS = new Map([
  ['function', ['type', 'name', 'description', 'parameters', 'strict']],
  ['custom', ['type', 'name', 'description', 'format']],
  ['local_shell', ['type']],
])

/** Kinds of input items, and their fields. No `item_reference`: it names what another request has stored. */
const ITEMS = new Map([
  ['message', ['type', 'id', 'role', 'content', 'phase', 'status']],
  ['reasoning', ['type', 'id', 'summary', 'content', 'encrypted_content']],
  ['function_call', ['type', 'id', 'call_id', 'name', 'arguments', 'status']],
  ['function_call_output', ['type', 'id', 'call_id', 'output', 'status']],
  ['custom_tool_call', ['type', 'id', 'call_id', 'name', 'input', 'status']],
  ['custom_tool_call_output', ['type', 'id', 'call_id', 'output', 'status']],
  ['local_shell_call', ['type', 'id', 'call_id', 'action', 'status']],
  ['local_shell_call_output', ['type', 'id', 'call_id', 'output', 'status']],
])

/** The members of an item that hold text or a list of parts. */
const LISTS = ['content', 'output', 'summary'] as const

/** Kinds of parts, and their fields. No `input_file`: the CLI never sends one. */
const PARTS = new Map([
  ['input_text', ['type', 'text']],
  ['output_text', ['type', 'text']],
  ['summary_text', ['type', 'text']],
  ['reasoning_text', ['type', 'text']],
  ['refusal', ['type', 'refusal']],
  ['input_image', ['type', 'image_url', 'detail']],
])

/**
 * Admits what the Codex CLI sends and nothing besides. Model, effort and the limit of the output are the bundle's,
 * whatever was asked; an answer is never stored and always streamed, because usage is read off the stream.
 */
export function admit(
  asked: unknown,
  { model, effort, budget }: Pick<Manifest, 'model' | 'effort' | 'budget'>,
): Admission {
  if (!isObject(asked)) return refuse('invalid_request', 'The body is not a JSON object.')
  const forbidden = FORBIDDEN.find((name) => !unsaid(asked[name]))
  if (forbidden !== undefined) return refuse('field_not_allowed', `The field ${forbidden} is not allowed.`)
  if (asked['stream'] !== true) return refuse('stream_required', 'Only streamed answers: set stream to true.')

  const { tools = [], input, tool_choice: choice = 'auto' } = asked
  if (!Array.isArray(tools)) return refuse('invalid_request', 'tools is not a list.')
  const foreign = tools.find((tool) => !TOOLS.has(typeOf(tool)))
  if (foreign !== undefined) return refuse('tool_not_allowed', `Tools of type ${shown(foreign)} are not allowed.`)
  if (!isLocalChoice(choice)) return refuse('tool_not_allowed', 'This tool_choice is not allowed.')

  if (typeof input !== 'string' && !Array.isArray(input))
    return refuse('invalid_request', 'input is neither text nor a list.')
  const refused = Array.isArray(input) ? input.map(refusedItem).find((item) => item !== undefined) : undefined
  if (refused !== undefined) return refused

  return {
    request: {
      ...pick(asked, { instructions: isString, parallel_tool_calls: isBoolean, prompt_cache_key: isString }),
      model,
      input: Array.isArray(input) ? input.map(item) : input,
      tools: tools.map((tool: Json) => keep(tool, TOOLS.get(typeOf(tool)))),
      tool_choice: isObject(choice) ? keep(choice, ['type', 'name']) : choice,
      reasoning: { ...pick(asked['reasoning'], { summary: isString }), effort },
      ...(isObject(asked['text']) && { text: text(asked['text']) }),
      include: includesReasoning(asked['include']) ? ['reasoning.encrypted_content'] : [],
      max_output_tokens: budget.outputTokens,
      store: false,
      stream: true,
    },
  }
}

function refusedItem(value: unknown): Admission | undefined {
  if (!isObject(value) || !ITEMS.has(typeOf(value)))
    return refuse('input_not_allowed', `Input of type ${shown(value)} is not allowed.`)
  const lists = LISTS.map((name) => value[name]).filter((list) => !unsaid(list) && !isString(list))
  for (const part of lists.flat()) {
    if (!PARTS.has(typeOf(part))) return refuse('input_not_allowed', `Input of type ${shown(part)} is not allowed.`)
    // A URL would make the provider fetch it: a way out of the pod.
    if (typeOf(part) === 'input_image' && !isInline((part as Json)['image_url']))
      return refuse('remote_content_not_allowed', 'Images are sent inline, as data: URLs.')
  }
  return lists.every(Array.isArray)
    ? undefined
    : refuse('invalid_request', 'The parts of an input are neither text nor a list.')
}

function item(value: Json): Json {
  const kept = keep(value, ITEMS.get(typeOf(value)))
  const parts = (list: readonly Json[]) => list.map((part) => keep(part, PARTS.get(typeOf(part))))
  const lists = LISTS.filter((name) => Array.isArray(kept[name])).map((name) => [name, parts(kept[name] as Json[])])
  return { ...kept, ...Object.fromEntries(lists) }
}

function text(asked: Json): Json {
  const { format } = asked
  return {
    ...pick(asked, { verbosity: isString }),
    ...(isObject(format) && { format: keep(format, ['type', 'name', 'description', 'schema', 'strict']) }),
  }
}

function isLocalChoice(choice: unknown): boolean {
  if (isObject(choice)) return choice['type'] === 'function' || choice['type'] === 'custom'
  return choice === 'auto' || choice === 'none' || choice === 'required'
}

function includesReasoning(include: unknown): boolean {
  return Array.isArray(include) && include.includes('reasoning.encrypted_content')
}

function refuse(code: string, detail: string): { readonly refused: Problem } {
  // 400 is the one status that Codex CLI 0.169 takes as final; any other is repeated.
  return { refused: { status: 400, code, title: 'Request refused', detail } }
}

function keep(value: Json, names: readonly string[] = []): Json {
  return Object.fromEntries(names.filter((name) => Object.hasOwn(value, name)).map((name) => [name, value[name]]))
}

function pick(value: unknown, fields: Readonly<Record<string, (value: unknown) => boolean>>): Json {
  if (!isObject(value)) return {}
  return keep(
    value,
    Object.entries(fields).flatMap(([name, valid]) => (valid(value[name]) ? [name] : [])),
  )
}

function typeOf(value: unknown): string {
  const type = isObject(value) ? value['type'] : undefined
  return isString(type) ? type : ''
}

function shown(value: unknown): string {
  return (
    typeOf(value)
      .replace(/[^\w.-]/g, '?')
      .slice(0, 40) || '(none)'
  )
}

function isInline(url: unknown): boolean {
  return isString(url) && url.startsWith('data:image/')
}

function unsaid(value: unknown): boolean {
  return value === undefined || value === null || value === false
}

function isObject(value: unknown): value is Json {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

function isString(value: unknown): value is string {
  return typeof value === 'string'
}

function isBoolean(value: unknown): value is boolean {
  return typeof value === 'boolean'
}
