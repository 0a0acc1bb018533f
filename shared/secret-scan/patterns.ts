/**
 * What kind of secret was seen. `canary` is one of the exact values that were looked for; `unscannable` is text with
 * more candidates, or more packed data, than is looked at, which no ordinary file has.
 */
export type SecretCode =
  | 'aws_key'
  | 'bearer_token'
  | 'canary'
  | 'github_token'
  | 'gitlab_token'
  | 'json_web_token'
  | 'model_key'
  | 'private_key'
  | 'run_token'
  | 'slack_token'
  | 'unscannable'

/** A place in a text, in characters from its start. */
export interface Hit {
  readonly code: SecretCode
  readonly offset: number
}

/** Most places in one text where a pattern is tried; 8 MiB of source have some 200. Bounds the time of a hostile one. */
const MAX_CANDIDATES = 20_000

/** Where a pattern may start. One pass over the text; 8 MiB of source take 30 ms, a pass for each pattern ten times that. */
const trigger =
  /(?<![A-Za-z0-9])(?:gh[pousr]_|github_pat_|glpat-|sk-|A[KS]IA|xox[abeoprs]-|eyJ|(?:run|model)\.[0-9a-f]{8}-)|-----BEGIN |[aA]uthorization|AUTHORIZATION/g

/**
 * Lengths are fixed, so that what follows a token cannot make it look like an example. The group is what is random.
 */
const patterns: readonly { readonly code: SecretCode; readonly shape: RegExp }[] = [
  { code: 'github_token', shape: /gh[pousr]_([A-Za-z0-9._]{36})/y },
  { code: 'github_token', shape: /github_pat_([A-Za-z0-9_]{40})/y },
  { code: 'gitlab_token', shape: /glpat-(?=[a-z_-]{0,19}[A-Z0-9])([\w-]{20})/y },
  { code: 'model_key', shape: /sk-(?=[\w-]{0,39}\d)(?=[\w-]{0,39}[A-Z])([\w-]{40})/y },
  { code: 'model_key', shape: /sk-([0-9a-f]{32})(?![\w-])/y },
  { code: 'aws_key', shape: /A[KS]IA([A-Z2-7]{16})(?![A-Za-z0-9])/y },
  { code: 'slack_token', shape: /xox[abeoprs]-(?=[A-Za-z-]{0,19}\d)([A-Za-z0-9-]{20})/y },
  {
    code: 'private_key',
    shape:
      /-----BEGIN (?:[A-Z]{1,20} ){0,3}PRIVATE KEY(?: BLOCK)?-----(?:\\[nr]|[\s"'`+,]){0,100}(?:[A-Za-z-]{1,20}: [^\n]{0,100}\s{1,4}){0,3}([A-Za-z0-9][A-Za-z0-9+/]{39})/y,
  },
  // Not the example of jwt.io, which stands in half of all documentation.
  { code: 'json_web_token', shape: /eyJ[\w-]{10,2000}\.eyJ(?!zdWIiOiIxMjM0NTY3ODkw)[\w-]{10,8000}\.([\w-]{20})/y },
  {
    code: 'run_token',
    shape: /(?:run|model)\.[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}\.\d{1,5}\.\d{1,15}\.([\w-]{43})/y,
  },
  {
    code: 'bearer_token',
    shape:
      /authorization["']?[\s:=,]{1,5}["'`]?(?:bearer|basic|token)\s{1,5}(?=[a-z._~+/=-]{0,19}[A-Z0-9])([\w.~+/=-]{20})/iy,
  },
]

/** Every known kind of token in a text of one character per byte. Evident examples such as `ghp_xxxx…` are not among them. */
export function findTokens(text: string): Hit[] {
  const hits: Hit[] = []
  let candidates = 0
  for (const { index } of text.matchAll(trigger)) {
    if (++candidates > MAX_CANDIDATES) return [...hits, { code: 'unscannable', offset: index }]
    for (const { code, shape } of patterns) {
      shape.lastIndex = index
      const random = shape.exec(text)?.[1]
      if (random !== undefined && looksRandom(random)) hits.push({ code, offset: index })
    }
  }
  return hits
}

const evidentExample = /example|placeholder|redacted|changeme|dummy|(.)\1{4}|123456789|abcdefgh/i

/** False for what a person types as an example: few different characters, a row of the alphabet, the word itself. */
function looksRandom(text: string): boolean {
  if (evidentExample.test(text)) return false
  const counts = new Map<string, number>()
  for (const character of text) counts.set(character, (counts.get(character) ?? 0) + 1)
  let entropy = 0
  for (const count of counts.values()) entropy -= (count / text.length) * Math.log2(count / text.length)
  // Of the most that this many characters can carry. Random text of 16 to 60 characters has more than four fifths of it.
  return entropy > 0.65 * Math.log2(text.length)
}
