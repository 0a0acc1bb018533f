import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { admit } from './decide.ts'
import { question } from './testing/question.ts'
import { manifest } from './testing/run.ts'

const own = {
  ...manifest,
  model: 'the-bundle-model',
  effort: 'low' as const,
  budget: { tokens: 1000, outputTokens: 77, seconds: 60 },
}
const ask = (more: object) => admit({ ...question, ...more }, own)
const user = (content: unknown) => ({ input: [{ type: 'message', role: 'user', content }] })
const answer = (output: unknown) => ({ input: [{ type: 'function_call_output', call_id: 'c', output }] })

describe("model, effort and limits are the bundle's", () => {
  test.for([
    ['another model', { model: 'gpt-expensive' }],
    ['no model', { model: undefined }],
    ['another effort', { reasoning: { effort: 'xhigh' } }],
    ['an effort that is no object', { reasoning: 'xhigh' }],
    ['a huge output', { max_output_tokens: 10_000_000 }],
    ['a stored answer', { store: true }],
  ] as const)('%s', ([, asked]) => {
    expect(ask(asked)).toMatchObject({
      request: {
        model: 'the-bundle-model',
        reasoning: { effort: 'low' },
        max_output_tokens: 77,
        store: false,
        stream: true,
      },
    })
  })
})

describe('is refused', () => {
  const hosted = [
    'web_search',
    'web_search_preview',
    'file_search',
    'code_interpreter',
    'image_generation',
    'mcp',
    'computer_use',
    'computer_use_preview',
    'shell',
    'namespace',
    'tool_search',
    '__proto__',
    'constructor',
  ]
  test.for([
    ...hosted.map(
      (type) =>
        [`the tool ${type}`, { tools: [{ type: 'function', name: 'f' }, { type }] }, 'tool_not_allowed'] as const,
    ),
    ['a tool without a type', { tools: [{ name: 'f' }] }, 'tool_not_allowed'],
    ['a tool that is null', { tools: [null] }, 'tool_not_allowed'],
    ['tools that are no list', { tools: { type: 'function' } }, 'invalid_request'],
    ['a hosted tool as the choice', { tool_choice: { type: 'web_search' } }, 'tool_not_allowed'],
    [
      'allowed_tools as the choice',
      { tool_choice: { type: 'allowed_tools', tools: [{ type: 'mcp' }] } },
      'tool_not_allowed',
    ],
    ['a background answer', { background: true }, 'field_not_allowed'],
    ['an earlier answer', { previous_response_id: 'resp_1' }, 'field_not_allowed'],
    ['a conversation', { conversation: { id: 'conv_1' } }, 'field_not_allowed'],
    ['a stored prompt', { prompt: { id: 'pmpt_1' } }, 'field_not_allowed'],
    ['an answer in one piece', { stream: false }, 'stream_required'],
    ['no word on streaming', { stream: undefined }, 'stream_required'],
    ['no input', { input: undefined }, 'invalid_request'],
    ['a stored item', { input: [{ type: 'item_reference', id: 'msg_1' }] }, 'input_not_allowed'],
    ['an item of a hosted tool', { input: [{ type: 'mcp_approval_response', approve: true }] }, 'input_not_allowed'],
    ['an item that is text', { input: ['hello'] }, 'input_not_allowed'],
    [
      'an image by URL',
      user([{ type: 'input_image', image_url: 'https://evil.example/?leak' }]),
      'remote_content_not_allowed',
    ],
    [
      'an image by URL, in capitals',
      user([{ type: 'input_image', image_url: 'HTTP://evil.example/' }]),
      'remote_content_not_allowed',
    ],
    ['an image by id', user([{ type: 'input_image', file_id: 'file_1' }]), 'remote_content_not_allowed'],
    [
      'an image by URL in what a tool said',
      answer([{ type: 'input_image', image_url: 'https://evil.example/' }]),
      'remote_content_not_allowed',
    ],
    ['a file by URL', user([{ type: 'input_file', file_url: 'https://evil.example/' }]), 'input_not_allowed'],
    ['a file by id', user([{ type: 'input_file', file_id: 'file_1' }]), 'input_not_allowed'],
    ['parts that are no list', user({ type: 'input_image', image_url: 'data:image/png;base64,AA' }), 'invalid_request'],
    ['a part that is text', user(['hello']), 'input_not_allowed'],
  ] as const)('%s', ([, asked, code]) => {
    expect(ask(asked)).toMatchObject({ refused: { status: 400, code } })
  })

  test.for([undefined, null, 1, 'text', []].map((body) => [JSON.stringify(body), body] as const))(
    'a body of %s',
    ([, body]) => {
      expect(admit(body, own)).toMatchObject({ refused: { status: 400, code: 'invalid_request' } })
    },
  )
})

describe('is left out', () => {
  test.for([
    'metadata',
    'client_metadata',
    'user',
    'safety_identifier',
    'service_tier',
    'truncation',
    'temperature',
    'context_management',
    'max_tool_calls',
    'unknown',
  ])('%s', (name) => {
    expect(Object.keys((ask({ [name]: 'x' }) as { request: object }).request)).not.toContain(name)
  })

  test('what a tool, an item or a part has besides its own fields', () => {
    const asked = {
      tools: [{ type: 'custom', name: 'f', server_url: 'https://evil.example' }],
      input: [
        {
          type: 'message',
          role: 'user',
          extra: 1,
          content: [{ type: 'input_text', text: 'Hi', file_url: 'https://evil.example' }],
        },
      ],
    }
    const { request } = ask(asked) as { request: { tools: unknown; input: unknown } }
    expect(request.tools).toEqual([{ type: 'custom', name: 'f' }])
    expect(request.input).toEqual([{ type: 'message', role: 'user', content: [{ type: 'input_text', text: 'Hi' }] }])
  })

  test('every include but the encrypted reasoning', () => {
    expect(ask({ include: ['file_search_call.results', 'reasoning.encrypted_content'] })).toMatchObject({
      request: { include: ['reasoning.encrypted_content'] },
    })
  })
})

test('what the CLI relies on stays as it is', () => {
  const asked = {
    instructions: 'Work.',
    parallel_tool_calls: true,
    prompt_cache_key: 'thread',
    tool_choice: 'auto',
    include: ['reasoning.encrypted_content'],
    text: { verbosity: 'low', format: { type: 'json_schema', name: 'out', strict: true, schema: { type: 'object' } } },
    tools: [
      { type: 'function', name: 'exec_command', description: 'Runs', strict: false, parameters: { type: 'object' } },
      {
        type: 'custom',
        name: 'apply_patch',
        description: 'Edits',
        format: { type: 'grammar', syntax: 'lark', definition: 'x' },
      },
      { type: 'local_shell' },
    ],
    input: [
      { type: 'message', id: 'm', role: 'developer', content: [{ type: 'input_text', text: 'a' }] },
      { type: 'message', role: 'assistant', content: [{ type: 'output_text', text: 'b' }] },
      {
        type: 'message',
        role: 'user',
        content: [{ type: 'input_image', image_url: 'data:image/png;base64,AA', detail: 'auto' }],
      },
      {
        type: 'reasoning',
        id: 'r',
        summary: [{ type: 'summary_text', text: 's' }],
        content: null,
        encrypted_content: 'abc',
      },
      { type: 'function_call', call_id: 'c', name: 'exec_command', arguments: '{}' },
      { type: 'function_call_output', call_id: 'c', output: 'done' },
      { type: 'custom_tool_call', call_id: 'd', name: 'apply_patch', input: 'patch' },
      { type: 'custom_tool_call_output', call_id: 'd', output: 'done' },
    ],
  }
  expect(ask(asked)).toEqual({
    request: {
      ...asked,
      model: own.model,
      reasoning: { effort: 'low' },
      max_output_tokens: 77,
      store: false,
      stream: true,
    },
  })
})

const LOCAL = ['function', 'custom', 'local_shell']
const ITEMS = /^(message|reasoning|(function_call|custom_tool_call|local_shell_call)(_output)?)$/
const FIELDS = [
  'model',
  'instructions',
  'input',
  'tools',
  'tool_choice',
  'parallel_tool_calls',
  'reasoning',
  'text',
  'include',
  'prompt_cache_key',
  'max_output_tokens',
  'store',
  'stream',
]

test("whatever JSON comes, what goes on names the bundle's model, effort and limit and no hosted tool", () => {
  const type = fc.constantFrom(
    ...LOCAL,
    'web_search',
    'mcp',
    'code_interpreter',
    'message',
    'function_call_output',
    'item_reference',
    'input_image',
    'input_file',
    'input_text',
  )
  const url = fc.constantFrom('https://evil.example/', 'data:image/png;base64,AA', 'http://169.254.169.254/')
  const part = fc.record(
    { type, text: fc.string(), image_url: fc.oneof(url, fc.jsonValue()), file_url: url, file_id: fc.string() },
    { requiredKeys: [] },
  )
  const parts = fc.oneof(fc.array(part), fc.string(), fc.jsonValue())
  const item = fc.record(
    { type, role: fc.constant('user'), content: parts, output: parts, summary: parts, id: fc.string() },
    { requiredKeys: [] },
  )
  const tool = fc.record(
    { type, name: fc.string(), server_url: url, tools: fc.array(fc.record({ type })) },
    { requiredKeys: [] },
  )
  const anything = fc.jsonValue()
  const body = fc.record(
    {
      stream: fc.oneof({ weight: 9, arbitrary: fc.constant(true) }, anything),
      input: fc.oneof(
        fc.array(item, { maxLength: 3 }),
        fc.array(fc.record({ type: fc.constant('message'), content: fc.array(part, { maxLength: 2 }) }), {
          maxLength: 2,
        }),
        anything,
      ),
      tools: fc.oneof(
        fc.array(tool, { maxLength: 3 }),
        fc.array(fc.record({ type: fc.constantFrom(...LOCAL) })),
        anything,
      ),
      tool_choice: fc.oneof(fc.constantFrom('auto', 'none'), tool, anything),
      model: fc.string(),
      reasoning: fc.oneof(fc.record({ effort: fc.string(), summary: anything }), anything),
      max_output_tokens: fc.integer(),
      store: anything,
      background: fc.constantFrom(undefined, false, true),
      include: fc.oneof(fc.array(fc.string()), anything),
      text: anything,
      metadata: anything,
      __proto__: anything,
    },
    { requiredKeys: ['stream'] },
  )
  let admitted = 0
  fc.assert(
    fc.property(fc.oneof({ weight: 20, arbitrary: body }, anything), (asked) => {
      const result = admit(JSON.parse(JSON.stringify(asked)), own)
      if ('refused' in result) return result.refused.status === 400
      admitted += 1
      const wrong = violations(JSON.parse(JSON.stringify(result.request)) as Json)
      if (wrong.length > 0) throw new Error(wrong.join(', '))
      return true
    }),
    { numRuns: 2_000 },
  )
  // A property that is only ever asked about refusals says nothing.
  expect(admitted).toBeGreaterThan(50)
})

type Json = Record<string, unknown>

/** Everything about a request that must never reach the provider. */
function violations(request: Json): string[] {
  const { input, tool_choice: choice, tools, reasoning } = request
  const items = (Array.isArray(input) ? input : []) as Json[]
  const parts = items
    .flatMap((each) => ['content', 'output', 'summary'].flatMap((name) => each[name] ?? []))
    .filter((part) => typeof part === 'object') as Json[]
  const fixed: [boolean, string][] = [
    [request['model'] !== own.model, 'model'],
    [(reasoning as Json)['effort'] !== 'low', 'effort'],
    [request['max_output_tokens'] !== 77, 'limit'],
    [request['store'] !== false || request['stream'] !== true, 'stored or in one piece'],
    [typeof choice === 'object' && !['function', 'custom'].includes((choice as Json)['type'] as string), 'choice'],
  ]
  return [
    ...fixed.flatMap(([wrong, name]) => (wrong ? [name] : [])),
    ...Object.keys(request).filter((name) => !FIELDS.includes(name)),
    ...(tools as Json[])
      .filter((tool) => !LOCAL.includes(tool['type'] as string) || 'server_url' in tool || 'tools' in tool)
      .map((tool) => `tool ${String(tool['type'])}`),
    ...items.filter((each) => !ITEMS.test(String(each['type']))).map((each) => `item ${String(each['type'])}`),
    ...parts.flatMap((part) => Object.keys(part)).filter((name) => name.startsWith('file')),
    ...parts
      .filter((part) => part['type'] === 'input_image' && !String(part['image_url']).startsWith('data:image/'))
      .map(() => 'remote image'),
  ]
}
