import { createHash } from 'node:crypto'

const alphabet = 'abcdefghijklmnopqrstuvwxyz234567'

/** The name of an attempt's Job: `run-` and 26 letters of base32, 130 bits of SHA-256; fixed length, nothing cut off. */
export function jobName(run: string, attempt: number): string {
  const digest = createHash('sha256').update(`${run}/${attempt}`).digest()
  let bits = BigInt(`0x${digest.subarray(0, 17).toString('hex')}`) >> 6n
  let name = ''
  for (let letter = 0; letter < 26; letter += 1) {
    name = alphabet[Number(bits & 31n)] + name
    bits >>= 5n
  }
  return `run-${name}`
}

/** Whether it can be the name of an attempt's Job. */
export function isJobName(name: string): boolean {
  return /^run-[a-z2-7]{26}$/.test(name)
}
