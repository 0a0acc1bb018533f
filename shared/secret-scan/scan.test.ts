import { randomBytes } from 'node:crypto'
import { gzipSync } from 'node:zlib'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { sha256 } from '#shared/digest.ts'
import { mintToken } from '#shared/job/token.ts'
import { scan } from './scan.ts'
import { base64, encodings, hex, reverse } from './testing/encodings.ts'

const canary = 'Zq7-rT2_wK9pL4.xV8mN3cB6'
const channels = ['title', 'body', 'branch', 'commit message', 'path 1', 'blob 1']

describe('J3: an exact value is found in every encoding and every channel', () => {
  test.for(
    Object.entries(encodings).flatMap(([encoding, encode]) =>
      channels.map((channel) => ({ encoding, encode, channel })),
    ),
  )('$encoding in the $channel', ({ encode, channel }) => {
    const secret = Buffer.concat([
      Buffer.from('Some words before. '),
      Buffer.from(encode(canary)),
      Buffer.from(' And after.'),
    ])
    const texts = channels.map((name) => ({ name, text: name === channel ? secret : `A harmless ${name}.` }))
    const findings = scan(texts, ['another-canary-1234567', canary])
    expect(findings).toEqual([{ code: 'canary', channel, offset: expect.any(Number) }])
    expect(findings[0]?.offset).toBeLessThan(secret.length)
    expect(scan(texts, ['another-canary-1234567'])).toEqual([])
  })

  test('random values of 12 to 60 characters are found wherever they lie', () => {
    const secret = fc.string({
      unit: fc.constantFrom(...'ABCDEFabcdefghijkl0123456789-_.'.split('')),
      minLength: 12,
      maxLength: 60,
    })
    const runs = fc.property(
      secret,
      fc.constantFrom(...Object.values(encodings)),
      fc.string(),
      fc.string(),
      (value, encode, before, after) => {
        fc.pre(value.replace(/[^A-Za-z0-9]/g, '').length >= 10)
        const text = Buffer.concat([Buffer.from(`${before}\n`), Buffer.from(encode(value)), Buffer.from(`\n${after}`)])
        expect(scan([{ name: 'body', text }], [value]).map(({ code }) => code)).toContain('canary')
      },
    )
    fc.assert(runs, { numRuns: 1_000 })
  })

  test('what is too short to be told from chance is not looked for', () => {
    expect(
      scan([{ name: 'body', text: 'an empty value, a-b-c-d and test' }], ['', 'abcd', 'test', '--------------']),
    ).toEqual([])
  })
})

/** Not literals, so that no scanner takes this file for a leak. */
const random = (length: number): string =>
  sha256('seed')
    .replace(/[a-f]/g, (letter) => (letter < 'd' ? letter.toUpperCase() : `${letter}k`))
    .slice(0, length)
const claim = base64('{"sub":"somebody","iat":1}').replaceAll('=', '')
const tokens: Record<string, readonly string[]> = {
  github_token: ['p', 'o', 'u', 's', 'r']
    .map((kind) => `gh${kind}_${random(36)}`)
    .concat(`github_pat_${random(22)}_${random(40)}`),
  gitlab_token: [`glpat-${random(20)}`],
  model_key: [`sk-${random(48)}`, `sk-proj-${random(48)}`, `sk-${sha256('x').slice(0, 32)}`],
  aws_key: ['AKIA', 'ASIA'].map((kind) => `${kind}Q3EGWLR7KDJ2XMPV`),
  slack_token: [`xoxb-${random(30)}`],
  private_key: ['', 'RSA ', 'EC ', 'OPENSSH ', 'ENCRYPTED ']
    .map((kind) => `-----BEGIN ${kind}PRIVATE KEY-----\nMII${random(50)}\n`)
    .concat(`-----BEGIN PRIVATE KEY-----\\nMII${random(50)}\\n`),
  json_web_token: [`${base64('{"alg":"HS256"}').replaceAll('=', '')}.${claim}.${random(43)}`],
  run_token: (['run', 'model'] as const).map((kind) =>
    mintToken('key', kind, { run: '0b8f6ad0-5f4e-4b7e-9a53-3a8f4f0c1d2e', attempt: 1, fence: 7 }),
  ),
  bearer_token: [
    `Authorization: Bearer ${random(40)}`,
    `authorization": "basic ${random(40)}"`,
    `AUTHORIZATION: token ${random(40)}`,
  ],
}
const cases = Object.entries(tokens).flatMap(([code, texts]) =>
  texts.map((text) => ({ code, text, kind: text.slice(0, 12) })),
)

describe('J3: tokens of known kinds are found without knowing their value', () => {
  test.for(cases)('$code: $kind', ({ code, text }) => {
    const around = `const value = "${text}"\n`
    const forms = [
      around,
      `${text}.example`,
      reverse(around),
      base64(around),
      hex(around),
      base64(gzipSync(around)),
      Buffer.from(around, 'utf16le'),
    ]
    for (const form of forms)
      expect(scan([{ name: 'blob 1', text: form }], []).map((finding) => finding.code)).toContain(code)
    expect(scan([{ name: 'blob 1', text: `x\n${text}` }], [])[0]).toEqual({ code, channel: 'blob 1', offset: 2 })
  })

  test('evident examples, names and hashes are not tokens', () => {
    const harmless = [
      `ghp_${'x'.repeat(36)}`,
      'ghp_abcdefghijklmnopqrstuvwxyz0123456789',
      'ghs_0000000000000000000000000000000000000000',
      'glpat-your-token-goes-here-please',
      'glpat-xxxxxxxxxxxxxxxxxxxx',
      'sk-spinner-three-bounce-large-animation-delayed',
      'a task-list-1234567890-ABCDEFGHIJKLMNOPQRSTUVWXYZ-abcdef',
      'AKIAIOSFODNN7EXAMPLE',
      "if (pem.startsWith('-----BEGIN PRIVATE KEY-----')) return",
      '-----BEGIN PUBLIC KEY-----\nMIIBIjANBgkqhkiG9w0BAQEFAAOCAQ8AMIIBCgKCAQEA1c7p9z5Pad7O\n',
      'eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.eyJzdWIiOiIxMjM0NTY3ODkwIiwibmFtZSI6IkpvaG4gRG9lIn0.SflKxwRJSMeKKF2QT4fwpMeJf36POk6yJV_adQssw5c',
      'headers: { Authorization: `Bearer ${token}` }',
      'Authorization: Bearer <your-token-goes-here>',
      `sha256-${base64(randomBytes(32))}`,
      `"integrity": "sha512-${base64(randomBytes(64))}"`,
      randomBytes(32).toString('hex'),
      'run.0b8f6ad0-5f4e-4b7e-9a53-3a8f4f0c1d2e.1',
    ]
    expect(
      scan(
        harmless.map((text) => ({ name: text, text })),
        [],
      ),
    ).toEqual([])
  })
})

describe('J3: what a scan says and costs', () => {
  test('a finding holds nothing of the secret', () => {
    const text = `token: ghs_${random(36)} ${canary}`
    const said = JSON.stringify(scan([{ name: 'body', text }], [canary]))
    expect(said).toBe(
      '[{"code":"canary","channel":"body","offset":71},{"code":"github_token","channel":"body","offset":7}]',
    )
  })

  test('lines that the base has are passed over, others of the same file are not', () => {
    const old = `# Fixture\nkey = ghs_${random(36)}\n`
    const known = { name: 'blob 1', known: old }
    expect(scan([{ ...known, text: `${old}more\n` }], [])).toEqual([])
    expect(scan([{ ...known, text: `${old}key = ghs_${random(36)} \n` }], [])).toEqual([
      { code: 'github_token', channel: 'blob 1', offset: old.length + 6 },
    ])
    expect(scan([{ ...known, text: `${old}${canary}` }], [canary])).toHaveLength(1)
  })

  test('a kind is named once for each channel, and 20 findings are enough', () => {
    const text = `ghs_${random(36)}\n`.repeat(9)
    expect(
      scan(
        [
          { name: 'a', text },
          { name: 'b', text },
        ],
        [],
      ),
    ).toHaveLength(2)
    expect(
      scan(
        Array.from({ length: 30 }, (_, n) => ({ name: `blob ${n}`, text })),
        [],
      ),
    ).toHaveLength(20)
  })

  const size = 8 * 1024 * 1024
  const filled = (unit: string): Buffer => Buffer.alloc(size, unit)
  test.for([
    { name: 'a gzip bomb', text: gzipSync(Buffer.alloc(200 * 1024 * 1024)), codes: ['unscannable'] },
    { name: 'a bomb in base64', text: base64(gzipSync(Buffer.alloc(200 * 1024 * 1024))), codes: ['unscannable'] },
    { name: 'a file of what looks like gzip', text: filled('H4sI'), codes: ['unscannable'] },
    { name: 'a file of quotes and gzip', text: filled(`H4sI"${' '.repeat(70)}`), codes: ['unscannable'] },
    { name: 'a file of starts of keys', text: filled('-sk-'), codes: ['unscannable'] },
    { name: 'a file of starts of web tokens', text: filled('.eyJaaaaaaaaaaaa'), codes: ['unscannable'] },
    { name: 'a file of hexadecimal in hexadecimal in hexadecimal', text: filled('34'), codes: ['unscannable'] },
    { name: 'a file of percent signs', text: filled('%4'), codes: [] },
    { name: 'random bytes', text: randomBytes(size), codes: [] },
    { name: 'random base64', text: base64(randomBytes(size * 0.75)), codes: [] },
  ])('$name of 8 MiB is settled in bounded time', ({ text, codes }) => {
    // The time is the test's own limit, far above the usual 0.3 s; without the bounds some of these take minutes.
    expect(scan([{ name: 'blob 1', text }], [canary]).map(({ code }) => code)).toEqual(codes)
  })
})
