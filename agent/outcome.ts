import { relative } from 'node:path'
import * as v from 'valibot'
import { ChangeMessage } from '#shared/job/result.ts'
import type { Progress, Usage } from '#shared/job/result.ts'
import type { CodexEvent } from './codex.ts'
import { Failure } from './failure.ts'

/** What the CLI's events say so far. */
export interface Transcript {
  readonly usage: v.InferOutput<typeof Usage>
  /** The last message of the model. */
  readonly message: string | undefined
  /** Whether the model was asked at all. */
  readonly began: boolean
  readonly completed: boolean
  /** The last error the CLI gave up on, or is about to. */
  readonly error: string | undefined
}

/** Before the first event. */
export const noTranscript: Transcript = {
  usage: { inputTokens: 0, cachedInputTokens: 0, outputTokens: 0 },
  message: undefined,
  began: false,
  completed: false,
  error: undefined,
}

/** The transcript with one more event. */
export function addEvent(transcript: Transcript, event: CodexEvent): Transcript {
  switch (event.type) {
    case 'turn.started':
      return { ...transcript, began: true }
    case 'turn.completed': {
      const {
        input_tokens: inputTokens,
        cached_input_tokens: cachedInputTokens,
        output_tokens: outputTokens,
      } = event.usage
      return { ...transcript, completed: true, usage: { inputTokens, cachedInputTokens, outputTokens } }
    }
    case 'turn.failed':
      return { ...transcript, completed: false, error: event.error.message }
    case 'error':
      return { ...transcript, error: event.message }
    case 'item.started':
    case 'item.completed':
      return event.type === 'item.completed' && event.item.type === 'agent_message'
        ? { ...transcript, message: event.item.text ?? '' }
        : transcript
  }
}

/** What an event tells a person who watches, if anything. Paths are shown from the repository's root. */
export function progressOf(
  event: CodexEvent,
  repository: string,
): { kind: Progress['kind']; text: string } | undefined {
  if (event.type !== 'item.started' && event.type !== 'item.completed') return undefined
  const { item } = event
  if (event.type === 'item.started') {
    return item.type === 'command_execution'
      ? { kind: 'command', text: `$ ${shellCommand(item.command ?? '')}` }
      : undefined
  }
  if (item.type === 'file_change') {
    const paths = (item.changes ?? []).map(({ kind, path }) => `${kind} ${relative(repository, path)}`)
    return { kind: 'edit', text: paths.join(', ') }
  }
  if (item.type === 'reasoning') return { kind: 'thinking', text: item.text ?? '' }
  return item.type === 'agent_message' ? { kind: 'message', text: headline(item.text ?? '') } : undefined
}

/** The final message, checked against the stage's schema; throws the typed reason where the run has none. */
export function finalMessage(transcript: Transcript, schema: Buffer): Record<string, unknown> {
  if (!transcript.completed) throw failureOf(transcript.error)
  const message = parseObject(transcript.message)
  if (message === undefined)
    throw new Failure('agent_gave_no_result', 'The agent ended without a message in the requested form.')
  const required = requiredNames(schema)
  const missing = required.filter((name) => message[name] === undefined)
  if (missing.length > 0) throw new Failure('agent_gave_no_result', `The agent's message lacks ${missing.join(', ')}.`)
  if (Object.keys(ChangeMessage.entries).every((name) => required.includes(name))) {
    const checked = v.safeParse(ChangeMessage, message)
    if (!checked.success)
      throw new Failure('agent_gave_no_result', `The agent's message is not valid: ${checked.issues[0].message}`)
  }
  return message
}

/** The reason behind the CLI's last error, which quotes the answer of model-gateway. */
function failureOf(error: string | undefined): Failure {
  if (error === undefined) return new Failure('agent_failed', 'The CLI ended before the agent did.')
  const code = /"code"\s*:\s*"(budget_exhausted|model_refused|model_unavailable)"/.exec(error)?.[1]
  if (code !== undefined) return new Failure(code as 'budget_exhausted', error)
  if (/"urn:codex-k8s:(attempt_closed|deadline_exceeded)"/.test(error)) return new Failure('deadline_exceeded', error)
  if (/"urn:codex-k8s:[a-z_]+"/.test(error) && /"status"\s*:\s*400\b/.test(error))
    return new Failure('model_refused', error)
  if (/unexpected status 4(?!08|29)\d\d/.test(error)) return new Failure('model_refused', error)
  const unavailable =
    /status:? (?:408|429|5\d\d)|high demand|stream disconnected|error sending request|connection|timed? ?out/i
  return new Failure(unavailable.test(error) ? 'model_unavailable' : 'agent_failed', error)
}

/** What the model asked for, out of the shell and the quotes that the CLI puts around it. */
function shellCommand(command: string): string {
  const inner = /^\S*sh -l?c (.*)$/s.exec(command)?.[1]
  if (inner === undefined) return command
  return inner.replace(/'([^']*)'|"((?:\\[\s\S]|[^"\\])*)"|\\([\s\S])/g, (_, single, double, escaped) => {
    return String(single ?? double?.replace(/\\(["\\$`])/g, '$1') ?? escaped)
  })
}

function headline(text: string): string {
  const title = parseObject(text)?.['title']
  return typeof title === 'string' ? title : text
}

function requiredNames(schema: Buffer): string[] {
  const parsed = v.safeParse(v.looseObject({ required: v.array(v.string()) }), parseObject(schema.toString()))
  return parsed.success ? parsed.output.required : []
}

function parseObject(text: string | undefined): Record<string, unknown> | undefined {
  try {
    const value: unknown = JSON.parse(text ?? '')
    return typeof value === 'object' && value !== null && !Array.isArray(value)
      ? (value as Record<string, unknown>)
      : undefined
  } catch {
    return undefined
  }
}
