import { describe, expect, test } from 'vitest'
import type { CodexEvent } from './codex.ts'
import type { Failure } from './failure.ts'
import { addEvent, finalMessage, noTranscript, progressOf } from './outcome.ts'

const schema = Buffer.from(JSON.stringify({ type: 'object', required: ['title', 'summary', 'tests'] }))
const usage = { input_tokens: 3, cached_input_tokens: 2, output_tokens: 1 }
const done: CodexEvent = { type: 'turn.completed', usage }
const says = (text: string): CodexEvent => ({ type: 'item.completed', item: { type: 'agent_message', text } })
const after = (...events: CodexEvent[]) => events.reduce(addEvent, noTranscript)
const good = { title: 't', summary: 's', tests: '' }

function reasonAfter(...events: CodexEvent[]): string {
  try {
    finalMessage(after(...events), schema)
    return 'none'
  } catch (error) {
    return (error as Failure).reason
  }
}

describe('the final message', () => {
  test('is the last one of a completed turn', () => {
    const transcript = after(says('thinking about it'), says(JSON.stringify(good)), done)
    expect(finalMessage(transcript, schema)).toEqual(good)
    expect(transcript.usage).toEqual({ inputTokens: 3, cachedInputTokens: 2, outputTokens: 1 })
  })

  test.each([
    ['no message', []],
    ['text', [says('done')]],
    ['a list', [says('[]')]],
    ['a property missing', [says('{"title":"t","summary":"s"}')]],
    ['a property of another type', [says('{"title":1,"summary":"s","tests":""}')]],
    ['an empty title', [says('{"title":"","summary":"s","tests":""}')]],
    ['a title that is too long', [says(JSON.stringify({ ...good, title: 'x'.repeat(201) }))]],
  ])('with %s is agent_gave_no_result', (_, events: CodexEvent[]) => {
    expect(reasonAfter(...events, done)).toBe('agent_gave_no_result')
  })
})

test.each([
  ['unexpected status 400 Bad Request: {"code":"budget_exhausted"}, url: http://x/v1/responses', 'budget_exhausted'],
  ['unexpected status 400 Bad Request: {"code": "model_refused"}', 'model_refused'],
  ['unexpected status 401 Unauthorized: ', 'model_refused'],
  ['exceeded retry limit, last status: 429 Too Many Requests', 'model_unavailable'],
  ['exceeded retry limit, last status: 503 Service Unavailable', 'model_unavailable'],
  ['unexpected status 500 Internal Server Error', 'model_unavailable'],
  ['stream disconnected before completion: error sending request for url', 'model_unavailable'],
  // What the CLI makes of an answer 500.
  ['We’re currently experiencing high demand, which may cause temporary errors.', 'model_unavailable'],
  ['something else', 'agent_failed'],
])('the error %j means %s', (message, reason) => {
  expect(reasonAfter({ type: 'error', message }, { type: 'turn.failed', error: { message } })).toBe(reason)
})

test('a CLI that ends without a word is agent_failed', () => {
  expect(reasonAfter()).toBe('agent_failed')
})

describe('a progress line', () => {
  const started = (command: string): CodexEvent => ({
    type: 'item.started',
    item: { type: 'command_execution', command },
  })

  test('shows the command as the model asked for it', () => {
    const line = (command: string): string | undefined => progressOf(started(command), '/w')?.text
    expect(line("/bin/bash -c 'node --test'")).toBe('$ node --test')
    expect(line(`/bin/bash -c "echo \\"a\\" "'$f'`)).toBe('$ echo "a" $f')
    expect(line('/bin/bash -lc ls')).toBe('$ ls')
    expect(line('ls -l')).toBe('$ ls -l')
  })

  test('shows edited paths from the root, reasoning, and the title of a message', () => {
    const completed = (item: object): CodexEvent => ({ type: 'item.completed', item: item as { type: string } })
    const changes = [{ path: '/w/src/a.ts', kind: 'update' }]
    expect(progressOf(completed({ type: 'file_change', changes }), '/w')).toEqual({
      kind: 'edit',
      text: 'update src/a.ts',
    })
    expect(progressOf(completed({ type: 'reasoning', text: 'Hm' }), '/w')).toEqual({ kind: 'thinking', text: 'Hm' })
    expect(progressOf(says(JSON.stringify(good)), '/w')).toEqual({ kind: 'message', text: 't' })
    expect(progressOf(done, '/w')).toBeUndefined()
  })
})
