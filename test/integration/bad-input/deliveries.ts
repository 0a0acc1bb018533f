import { gzipSync } from 'node:zlib'

/** A webhook delivery, and what the gateway has to make of it. */
export interface BadDelivery {
  readonly name: string
  readonly body: string | Uint8Array
  readonly event?: string
  readonly headers?: Readonly<Record<string, string | readonly string[]>>
  /** Signed with the hook's secret unless it says otherwise; null for no header. */
  readonly signature?: string | null
  readonly status: number
  /** `code` of the problem document, or `reason` of the quarantine. Undefined for one that is accepted. */
  readonly because?: string
}

type Body = Record<string, unknown>

/** Wrong values that a field may have, whatever it ought to be. */
const wrong: readonly (readonly [string, unknown])[] = [
  ['absent', undefined],
  ['null', null],
  ['a number', -1],
  ['a fraction', 1.5],
  ['a text', 'x'],
  ['an empty text', ''],
  ['a list', [{}]],
  ['an object', { id: { id: 1 } }],
  ['a boolean', true],
]

/** Fields that the gateway or the router reads. */
const fields = [
  'action',
  'issue',
  'issue.id',
  'issue.number',
  'issue.title',
  'issue.body',
  'issue.updated_at',
  'issue.pull_request',
  'label',
  'label.name',
  'repository',
  'repository.id',
  'repository.full_name',
  'repository.url',
  'sender',
  'sender.id',
  'sender.login',
  'sender.type',
] as const

function changed(body: Body, path: string, value: unknown): Body {
  const copy = structuredClone(body)
  const keys = path.split('.')
  const last = keys.pop() ?? ''
  const holder = keys.reduce<Body>((at, key) => at[key] as Body, copy)
  if (value === undefined) delete holder[last]
  else holder[last] = value
  return copy
}

/** Every field with every wrong value: authentic, so never refused; used, set aside, or of no interest to anybody. */
export function mutatedDeliveries(good: Body): { readonly name: string; readonly body: string }[] {
  return fields.flatMap((field) =>
    wrong.map(([what, value]) => ({
      name: `${field} is ${what}`,
      body: JSON.stringify(changed(good, field, value)),
    })),
  )
}

/** Requests that no forge sends. `good` is a body that would be accepted. */
export function badDeliveries(good: Body): BadDelivery[] {
  const whole = JSON.stringify(good)
  const with_ = (from: string, to: string) => {
    if (!whole.includes(from)) throw new Error(`the body has no ${from}`)
    return whole.replace(from, () => to)
  }
  const title = JSON.stringify((good['issue'] as Body)['title'])
  const quarantined = (name: string, body: string | Uint8Array, because: string): BadDelivery => ({
    name,
    body,
    status: 202,
    because,
  })
  const refused = (
    name: string,
    status: number,
    because: string,
    more: Omit<Partial<BadDelivery>, 'name' | 'status' | 'because'>,
  ): BadDelivery => ({ body: whole, ...more, name, status, because })
  const unauthorized = (name: string, signature: string | null) => refused(name, 401, 'unauthorized', { signature })
  const hex = 'a'.repeat(64)
  return [
    unauthorized('no signature', null),
    unauthorized('an empty signature', ''),
    unauthorized('a signature of nothing', 'sha256='),
    unauthorized('sha1', `sha1=${'a'.repeat(40)}`),
    unauthorized('capitals in the scheme', `SHA256=${hex}`),
    unauthorized('capitals in the digest', `sha256=${hex.toUpperCase()}`),
    unauthorized('63 digits', `sha256=${hex.slice(1)}`),
    unauthorized('65 digits', `sha256=${hex}a`),
    unauthorized('no hex', `sha256=${'z'.repeat(64)}`),
    unauthorized('base64', `sha256=${Buffer.alloc(32).toString('base64')}`),
    unauthorized('a wrong digest', `sha256=${hex}`),
    unauthorized('two digests', `sha256=${hex}, sha256=${hex}`),
    unauthorized('a quoted digest', `"sha256=${hex}"`),
    unauthorized('a huge header', `sha256=${hex.repeat(60)}`),

    ...['gzip', 'br', 'deflate', 'zstd', 'compress', 'gzip, gzip', 'identity, gzip', '*'].map((encoding) =>
      refused(`content-encoding ${encoding}`, 415, 'unsupported_encoding', {
        body: gzipSync(whole),
        headers: { 'content-encoding': encoding },
      }),
    ),
    ...[
      'text/plain',
      'text/json',
      'application/x-www-form-urlencoded',
      'multipart/form-data; boundary=x',
      'application/json; charset=utf-16',
      'application/json; charset=latin1',
      'application/jsonx',
      'application/json, text/plain',
      'application/cloudevents+json',
      '*/*',
      ';',
    ].map((type) =>
      refused(`content-type ${type}`, 415, 'unsupported_media_type', { headers: { 'content-type': type } }),
    ),
    ...['', 'a b', 'a%41', 'a"b', 'x'.repeat(101), '\u00e9', 'a\tb'].map((id) =>
      refused(`delivery id ${JSON.stringify(id.slice(0, 8))}`, 400, 'bad_delivery_id', {
        headers: { 'x-github-delivery': id },
      }),
    ),
    refused('two delivery ids', 400, 'bad_delivery_id', { headers: { 'x-github-delivery': ['a', 'b'] } }),
    ...['', 'Issues', 'issues;', '../x', 'issues/labeled', 'x'.repeat(61), '__proto__!'].map((event) =>
      refused(`event name ${JSON.stringify(event.slice(0, 10))}`, 400, 'bad_event', {
        headers: { 'x-github-event': event },
      }),
    ),
    refused('more than 25 MiB', 413, 'body_too_large', {
      headers: { 'content-length': String(25 * 1024 * 1024 + 1) },
    }),

    ...[
      'push',
      'pull_request',
      'issue_comment',
      'ping',
      'create',
      'release',
      'check_run',
      'workflow_run',
      'pull_request_review',
      'installation',
    ].map((event) => ({ ...quarantined(`said to be ${event}`, whole, 'event_mismatch'), event })),

    quarantined('nothing', '', 'not_json'),
    quarantined('white space', ' \n\t', 'not_json'),
    quarantined('half a body', whole.slice(0, -1), 'not_json'),
    quarantined('two bodies', whole + whole, 'not_json'),
    quarantined('a trailing comma', `${whole.slice(0, -1)},}`, 'not_json'),
    quarantined('a comment', `${whole}// x`, 'not_json'),
    quarantined('single quotes', "{'a':1}", 'not_json'),
    quarantined('NaN', '{"a":NaN}', 'not_json'),
    quarantined('a byte order mark', `\ufeff${whole}`, 'not_json'),
    quarantined('an undefined escape', with_(title, '"\\x41"'), 'not_json'),
    quarantined('a raw line break in a text', with_(title, '"a\nb"'), 'not_json'),
    quarantined('a list', '[]', 'not_an_object'),
    quarantined('a text', '"x"', 'not_an_object'),
    quarantined('a number', '7', 'not_an_object'),
    quarantined('null', 'null', 'not_an_object'),
    quarantined('UTF-16', Buffer.from(whole, 'utf16le'), 'not_json'),
    quarantined('latin1', Buffer.from(with_(title, '"\u00e9"'), 'latin1'), 'not_utf8'),
    quarantined(
      'an overlong NUL',
      Buffer.concat([Buffer.from('{"a":"'), Buffer.from([0xc0, 0x80]), Buffer.from('"}')]),
      'not_utf8',
    ),
    quarantined(
      'a surrogate in UTF-8',
      Buffer.concat([Buffer.from('{"a":"'), Buffer.from([0xed, 0xa0, 0x80]), Buffer.from('"}')]),
      'not_utf8',
    ),
    quarantined('an escaped NUL', with_(title, '"\\u0000"'), 'unstorable_text'),
    quarantined('half a surrogate pair', with_(title, '"\\ud800"'), 'unstorable_text'),
    quarantined('the other half', with_(title, '"\\udc00x"'), 'unstorable_text'),
    quarantined('a NUL in a key', '{"\\u0000":1}', 'unstorable_text'),
    quarantined('a million open brackets', `{"a":${'['.repeat(1_000_000)}`, 'too_deep'),
    quarantined('65 levels', `{"a":${'['.repeat(64)}${']'.repeat(64)}}`, 'too_deep'),
    quarantined('300,000 values', `{"a":[${'1,'.repeat(300_000)}1]}`, 'too_many_values'),
    quarantined(
      '10,001 keys',
      JSON.stringify(Object.fromEntries(Array.from({ length: 10_001 }, (_, n) => [`k${n}`, 1]))),
      'too_many_keys',
    ),
    quarantined('1,001 labels', JSON.stringify({ ...good, labels: Array(1_001).fill({}) }), 'too_many_labels'),
    quarantined('a key twice', with_('"label":', '"label":{"name":"run:qa"},"label":'), 'duplicate_key'),
    quarantined('a key twice in disguise', with_('"label":', '"\\u006cabel":{},"label":'), 'duplicate_key'),
    quarantined(
      'an id above 2^53',
      with_('"repository":{"id":', '"repository":{"x":1,"id":9007199254740993,"_":'),
      'unsafe_id',
    ),
    quarantined('an id as a float', with_('"repository":{"id":', '"repository":{"id":1e2,"_":'), 'unsafe_id'),
    quarantined(
      "another repository's body",
      JSON.stringify({ ...good, repository: { ...(good['repository'] as Body), id: 424242 } }),
      'repository_mismatch',
    ),
    {
      name: 'names of the language as keys',
      body: with_('"label":', '"__proto__":{"isAdmin":true},"constructor":{"prototype":{}},"label":'),
      status: 202,
    },
    { name: 'a member that nobody knows', body: with_('"label":', '"novel":{"a":[1,2,3]},"label":'), status: 202 },
    { name: '20 MB of text', body: with_(title, JSON.stringify('y'.repeat(20_000_000))), status: 202 },
  ]
}
