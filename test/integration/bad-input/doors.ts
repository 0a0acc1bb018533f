import { createHash } from 'node:crypto'

/** A request to a function behind the gateway, and the statuses that are right for it. */
export interface BadRequest {
  readonly name: string
  readonly to: string
  readonly method?: string
  readonly path: string
  readonly headers?: Readonly<Record<string, string>>
  readonly body?: string | Uint8Array
  readonly status: readonly number[]
}

/** The functions that a broker posts events to. */
const consumers = [
  'label-router',
  'approval-gate',
  'stage-dispatcher',
  'change-publisher',
  'status-reporter',
  'audit-sink',
] as const

const binary = (more: Readonly<Record<string, string>> = {}) => ({
  'ce-specversion': '1.0',
  'ce-id': 'never-written',
  'ce-source': '/codex-k8s/label-router',
  'ce-type': 'dev.codex-k8s.stage.approved.v1',
  'content-type': 'application/json',
  ...more,
})
const structured = { 'content-type': 'application/cloudevents+json' }
const eventText = (more: object) =>
  JSON.stringify({ specversion: '1.0', id: 'never-written', source: '/x', type: 'y', ...more })

/** What is no event, or one that this platform never wrote. `known` tells whether the function looks for the event's row. */
function badEvents(to: string): BadRequest[] {
  const post = (
    name: string,
    headers: Readonly<Record<string, string>>,
    body: string | Uint8Array,
    status = [422],
  ) => ({
    name: `${to}: ${name}`,
    to,
    path: '/',
    headers,
    body,
    status,
  })
  return [
    post('no event at all', {}, 'hello'),
    post('JSON that is no event', { 'content-type': 'application/json' }, '{}'),
    post('no id', Object.fromEntries(Object.entries(binary()).filter(([name]) => name !== 'ce-id')), '{}'),
    post('no source', Object.fromEntries(Object.entries(binary()).filter(([name]) => name !== 'ce-source')), '{}'),
    post('another version of the format', binary({ 'ce-specversion': '9.9' }), '{}'),
    post('a NUL in the id', binary({ 'ce-id': 'a%00b' }), '{}'),
    post('half an event', structured, '{"specversion":"1.0","id":"1"'),
    post('a batch', { 'content-type': 'application/cloudevents-batch+json' }, `[${eventText({})}]`),
    post('a text as the event', structured, '"x"'),
    post('an object as the id', structured, eventText({ id: { a: 1 } })),
    post('a number as the source', structured, eventText({ source: 7 })),
    post('data that is no JSON', binary(), '{'),
    post(
      'deep data',
      structured,
      `{"specversion":"1.0","id":"1","source":"/x","type":"y","data":${'['.repeat(100_000)}`,
    ),
    post('more than a megabyte', binary(), Buffer.alloc(1024 * 1024 + 1, 0x20), [413]),
    { ...post('GET', {}, '', [404]), method: 'GET' },
    { ...post('another path', binary(), '{}', [404]), path: '/../etc/passwd' },
  ]
}

/** Events in perfect form that nobody wrote: they change nothing, and the answer says that they are not known. */
function fabricated(to: string): BadRequest[] {
  const run = '00000000-0000-4000-8000-000000000000'
  return [
    { type: 'dev.codex-k8s.stage.approved.v1', data: { run, project: run, stage: 'dev' } },
    { type: 'dev.codex-k8s.run.finished.v1', data: { run, project: run, stage: 'dev', attempt: 1 } },
    { type: 'com.github.issues.labeled', data: { action: 'labeled', label: { name: 'run:dev' } } },
  ].map(({ type, data }) => ({
    name: `${to}: a made-up ${type}`,
    to,
    path: '/',
    headers: binary({ 'ce-type': type, 'ce-labelgroup': 'run' }),
    body: JSON.stringify(data),
    // The ledger's door only wakes: whoever knocks learns nothing and changes nothing.
    status: to === 'audit-sink' ? [202, 422] : [422],
  }))
}

/** Everything that is sent to the functions which brokers and clocks call. */
export const badEventRequests: readonly BadRequest[] = [
  ...consumers.flatMap((to) => [...badEvents(to), ...fabricated(to)]),
  ...['nobody', '__proto__', 'constructor', 'label-router%00', '..%2f..', 'a'.repeat(5_000)].map((consumer) => ({
    name: `reconciler: a dead letter for ${consumer.slice(0, 20)}`,
    to: 'reconciler',
    path: `/dead-letter/${consumer}`,
    headers: binary(),
    body: '{}',
    status: [404, 422],
  })),
  {
    name: 'reconciler: a made-up dead letter',
    to: 'reconciler',
    path: '/dead-letter/label-router',
    headers: binary({ 'ce-knativeerrorcode': '500', 'ce-knativeerrordata': '%%%', 'ce-knativeerrordest': '\t' }),
    body: '{}',
    status: [422],
  },
  ...['-1', 'NaN', '1e9', 'Infinity', '0x10', '%00', '9'.repeat(400), '1;drop'].map((grace) => ({
    name: `label-router: a sweep with grace ${grace.slice(0, 10)}`,
    to: 'label-router',
    path: `/sweep?grace=${grace}`,
    body: '',
    status: [200],
  })),
]

/** Tokens of an attempt that may speak. */
export interface Tokens {
  readonly run: string
  readonly model: string
}

const usage = { inputTokens: 0, cachedInputTokens: 0, outputTokens: 0 }
const base = 'a'.repeat(40)
const sha256 = (text: string) => createHash('sha256').update(text).digest('hex')
const succeeded = (more: object) =>
  JSON.stringify({
    outcome: 'succeeded',
    base,
    changes: [],
    message: {},
    session: null,
    log: null,
    usage,
    ...more,
  })

/** What an agent may try at its two doors. None of it may end the attempt: the real result comes afterwards. */
export function badAgentRequests(tokens: Tokens): BadRequest[] {
  const door =
    (to: string, token: string) =>
    (name: string, path: string, status: number[], more: Partial<BadRequest> = {}) => ({
      method: 'POST',
      ...(more.method === 'GET' ? {} : { body: '{}' }),
      ...more,
      name: `${to}: ${name}`,
      to,
      path,
      headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json', ...more.headers },
      status,
    })
  const run = door('run-gateway', tokens.run)
  const model = door('model-gateway', tokens.model)
  const otherEnd = tokens.run.endsWith('aa') ? 'bb' : 'aa'
  const strangers = [
    '',
    'Bearer',
    'Bearer x',
    `Basic ${tokens.run}`,
    `Bearer ${tokens.model}`,
    `Bearer ${tokens.run.slice(0, -2)}${otherEnd}`,
    `Bearer ${tokens.run}.x`,
    `Bearer ${'x'.repeat(8_000)}`,
    'Bearer eyJhbGciOiJub25lIn0.e30.',
  ]
  return [
    ...strangers.flatMap((authorization, index) => [
      run(`a stranger ${index + 1} asks for the input`, '/v1/input', [401], {
        method: 'GET',
        headers: { authorization },
      }),
      run(`a stranger ${index + 1} hands in a result`, '/v1/result', [401, 422], { headers: { authorization } }),
    ]),
    ...['', 'Bearer x', `Bearer ${tokens.run}`].map((authorization, index) =>
      model(`a stranger ${index + 1} asks the model`, '/v1/responses', [401], { headers: { authorization } }),
    ),

    ...['', '{', '[]', 'null', '"x"', '{"outcome":"won"}', '\ufeff{}', `{"a":${'['.repeat(100_000)}`].map(
      (body, index) => run(`a result that is none ${index + 1}`, '/v1/result', [422], { body }),
    ),
    ...[
      { changes: null },
      { changes: [{ kind: 'write', path: '', mode: '100644', blob: sha256('x'), bytes: 1 }] },
      { changes: [{ kind: 'write', path: 'a', mode: '040000', blob: sha256('x'), bytes: 1 }] },
      { changes: [{ kind: 'write', path: 'a', mode: '100644', blob: 'x', bytes: 1 }] },
      { changes: [{ kind: 'write', path: 'a', mode: '100644', blob: sha256('x'), bytes: -1 }] },
      { changes: [{ kind: 'write', path: 'a'.repeat(5_000), mode: '100644', blob: sha256('x'), bytes: 1 }] },
      { changes: [{ kind: 'rename', path: 'a' }] },
      { changes: Array(10_001).fill({ kind: 'delete', path: 'a' }) },
      { base: 'main' },
      { message: 'done' },
      { message: { title: 'a\0b' } },
      { message: { title: '\ud800' } },
      { usage: { inputTokens: 1e99, cachedInputTokens: 0, outputTokens: 0 } },
      { usage: null },
      { session: '../../etc/passwd' },
      { run: 'another' },
    ].map((more, index) => run(`a hostile result ${index + 1}`, '/v1/result', [422], { body: succeeded(more) })),
    run('a result with a blob that was never uploaded', '/v1/result', [400], {
      body: succeeded({ log: sha256('never') }),
    }),
    run('a result of 5 MB', '/v1/result', [413], { headers: { 'content-length': '5000000' } }),
    ...[
      '{}',
      '{"sequence":0,"kind":"command","text":"x"}',
      '{"sequence":1.5,"kind":"command","text":"x"}',
      '{"sequence":1,"kind":"hack","text":"x"}',
      '{"sequence":1,"kind":"command","text":"a\\u0000"}',
      '{"sequence":99999999999999,"kind":"command","text":"x"}',
      `{"sequence":1,"kind":"command","text":"${'x'.repeat(301)}"}`,
      'x',
    ].map((body, index) => run(`progress that is none ${index + 1}`, '/v1/progress', [422], { body })),
    run('progress of 5 KB', '/v1/progress', [413], { body: 'x'.repeat(5_000) }),
    ...['x', sha256('a').toUpperCase(), `${sha256('a')}0`, '..%2f..%2fetc', '%00', sha256('a').slice(1)].map((digest) =>
      run(`a blob named ${digest.slice(0, 12)}`, `/v1/blobs/${digest}`, [404], { method: 'PUT', body: 'a' }),
    ),
    run('a blob under another digest', `/v1/blobs/${sha256('b')}`, [400], { method: 'PUT', body: 'a' }),
    run('a blob of 9 MB', `/v1/blobs/${sha256('b')}`, [413], {
      method: 'PUT',
      headers: { 'content-length': String(9 * 1024 * 1024) },
    }),
    run("somebody else's blob", `/v1/blobs/${sha256('b')}`, [404], { method: 'GET' }),
    run('a push', '/v1/git/info/refs?service=git-receive-pack', [403], { method: 'GET' }),
    run('a push itself', '/v1/git/git-receive-pack', [404], { body: '0000' }),
    run('another repository', '/v1/git/../../../maria/other.git/info/refs?service=git-upload-pack', [404], {
      method: 'GET',
    }),

    ...['', '{', '[]', 'null', '7', '{}', '{"input":1}', '{"stream":false,"input":"x"}'].map((body, index) =>
      model(`a question that is none ${index + 1}`, '/v1/responses', [400], { body }),
    ),
    ...[
      { tools: [{ type: 'web_search' }] },
      { tools: [{ type: 'mcp', server_url: 'http://127.0.0.1:9' }] },
      { tools: [{ type: 'code_interpreter' }] },
      { previous_response_id: 'resp_1' },
      { background: true },
    ].map((more, index) =>
      model(`a question that asks for too much ${index + 1}`, '/v1/responses', [400], {
        body: JSON.stringify({ stream: true, input: 'x', ...more }),
      }),
    ),
    model('a nested question', '/v1/responses', [400], {
      body: `{"stream":true,"input":${'['.repeat(50_000)}${']'.repeat(50_000)}}`,
    }),
    model('a question of 17 MB', '/v1/responses', [413], { headers: { 'content-length': String(17 * 1024 * 1024) } }),
    model('another door of the provider', '/v1/files', [404]),
    model('the provider through the path', '/v1/responses/../files', [404]),
  ]
}
