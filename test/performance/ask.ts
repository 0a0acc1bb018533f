import { request } from 'node:http'

/** One HTTP request of the benchmark. */
export interface Ask {
  readonly method: 'GET' | 'POST' | 'PUT'
  readonly path: string
  readonly headers?: Readonly<Record<string, string>>
  readonly body?: string | Buffer
}

/** The answer, with all of its body read. */
export interface Answer {
  readonly status: number
  readonly body: string
}

/** Asks over a connection of its own: whoever starts cold has no open one. */
export function ask(base: string, { method, path, headers = {}, body }: Ask): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const asked = request(`${base}${path}`, { method, headers: { ...headers, connection: 'close' } }, (response) => {
      const chunks: Buffer[] = []
      response.on('data', (chunk: Buffer) => chunks.push(chunk))
      response.on('end', () =>
        resolve({ status: response.statusCode ?? 0, body: Buffer.concat(chunks).toString('utf8') }),
      )
      response.on('error', reject)
    })
    asked.on('error', reject)
    asked.end(body)
  })
}

/** The answer's body; fails when the status is another one. */
export async function expectStatus(base: string, status: number, asked: Ask): Promise<string> {
  const answer = await ask(base, asked)
  if (answer.status !== status)
    throw new Error(`${asked.method} ${asked.path}: ${answer.status} and not ${status}: ${answer.body.slice(0, 500)}`)
  return answer.body
}
