import { deflateSync, gzipSync } from 'node:zlib'

/** Base64 with padding. */
export const base64 = (text: string | Uint8Array): string => Buffer.from(text).toString('base64')
/** Two lower-case digits for each byte. */
export const hex = (text: string): string => Buffer.from(text).toString('hex')
/** Last character first. ASCII only. */
export const reverse = (text: string): string => Buffer.from(text).reverse().toString()

const cut = (text: string, length: number): string[] => text.match(new RegExp(`.{1,${length}}`, 'gs')) ?? []

/** Ways to write a secret so that it does not look like one. */
export const encodings: Readonly<Record<string, (secret: string) => string | Uint8Array>> = {
  raw: (secret) => secret,
  'other case': (secret) => secret.toUpperCase(),
  reversed: (secret) => reverse(secret),
  base64: (secret) => base64(secret),
  'base64 inside a longer text': (secret) => base64(`xx${secret} and more`),
  'base64 at the third alignment': (secret) => base64(`x${secret}`),
  base64url: (secret) => Buffer.from(`\u00ff\u00fe${secret}`).toString('base64url'),
  'base64 in lines': (secret) => cut(base64(`the key is ${secret}`), 20).join('\r\n'),
  'base64 in quoted lines': (secret) =>
    cut(base64(secret), 9)
      .map((line) => `  '${line}'`)
      .join(' +\n'),
  'base64 of UTF-16': (secret) => base64(Buffer.from(`$k = "${secret}"`, 'utf16le')),
  'base64 of UTF-16 in quoted lines': (secret) =>
    cut(base64(Buffer.from(secret, 'utf16le')), 9)
      .map((line) => `'${line}'`)
      .join(' +\n'),
  'base64 of base64': (secret) => base64(base64(`key=${secret}`)),
  hex: (secret) => hex(secret),
  'hex in capitals': (secret) => hex(secret).toUpperCase(),
  'hex in pairs': (secret) => cut(hex(secret), 2).join(':'),
  'an array of bytes': (secret) =>
    cut(hex(secret), 2)
      .map((pair) => `0x${pair}`)
      .join(', '),
  'escapes of strings': (secret) =>
    cut(hex(secret), 2)
      .map((pair) => `\\x${pair}`)
      .join(''),
  'escapes of JSON': (secret) =>
    cut(hex(secret), 2)
      .map((pair) => `\\u00${pair}`)
      .join(''),
  url: (secret) => encodeURIComponent(`?k=${secret}&`),
  'url, every other character': (secret) =>
    secret.replace(/(.)(.)/g, (_, first: string, second: string) => `%${hex(first)}${second}`),
  'url, every character': (secret) =>
    cut(hex(secret), 2)
      .map((pair) => `%${pair}`)
      .join(''),
  gzip: (secret) => gzipSync(`some text, then ${secret}`),
  'gzip and base64': (secret) => base64(gzipSync(`some text, then ${secret}`)),
  'gzip and base64 in lines': (secret) => cut(base64(gzipSync(`some text, then ${secret}`)), 30).join('\n'),
  'gzip and base64 in quoted lines': (secret) =>
    cut(base64(gzipSync(`then ${secret}`)), 20)
      .map((line) => `"${line}"`)
      .join(' +\n  '),
  'zlib and base64': (secret) => base64(deflateSync(`some text, then ${secret}`)),
  'zlib and base64, the second of two': (secret) =>
    `${base64('a first one, long enough')}, ${base64(deflateSync(`then ${secret}`))}`,
  'split across lines': (secret) => cut(secret, 5).join('\n'),
  'split across comments': (secret) => cut(secret, 5).join('\n// '),
  'split across strings': (secret) =>
    cut(secret, 5)
      .map((piece) => `'${piece}'`)
      .join(' +\n    '),
  'UTF-16': (secret) => Buffer.from(secret, 'utf16le'),
}
