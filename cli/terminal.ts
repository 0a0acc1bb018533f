import { harmless } from './harmless.ts'

/** Where the tool writes, and its clock. */
export interface Terminal {
  /** To stdout, as it is: whoever calls has made it harmless for its form. */
  out(text: string): void
  /** A line to stderr: what goes on, and what went wrong. */
  note(line: string): void
  /** Milliseconds since 1970. */
  now(): number
  /** Nothing that is written from now on holds this text. */
  hide(secret: string): void
}

/** The terminal of a process. Whatever is hidden is replaced in everything that is written, whoever says it. */
export function terminal(
  out: { write(text: string): unknown },
  err: { write(text: string): unknown },
  now: () => number,
): Terminal {
  const secrets: string[] = []
  const redact = (text: string) => secrets.reduce((kept, secret) => kept.replaceAll(secret, '<redacted>'), text)
  return {
    out: (text) => void out.write(redact(text)),
    note: (line) => void err.write(`${redact(harmless(line))}\n`),
    now,
    hide(secret) {
      if (secret !== '') secrets.push(secret)
    },
  }
}
