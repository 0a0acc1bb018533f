import type { Context } from 'hono'
import type { ContentfulStatusCode } from 'hono/utils/http-status'

/** A JSON object whose shape is not known here. */
export type Json = Record<string, unknown>

/** An answer in GitHub's error shape. */
export class ApiError extends Error {
  readonly status: ContentfulStatusCode
  readonly errors: readonly unknown[] | undefined

  constructor(status: ContentfulStatusCode, message: string, errors?: readonly unknown[]) {
    super(message)
    this.status = status
    this.errors = errors
  }

  body(): Json {
    return {
      message: this.message,
      ...(this.errors === undefined ? {} : { errors: this.errors }),
      documentation_url: 'https://docs.github.com/rest',
      status: String(this.status),
    }
  }
}

/** 404, also the answer to somebody who may not know that a thing exists. */
export const notFound = (): ApiError => new ApiError(404, 'Not Found')

/** 403. */
export const forbidden = (message = 'Must have admin rights to Repository.'): ApiError => new ApiError(403, message)

/** 422 with GitHub's list of reasons. */
export const validationFailed = (...errors: readonly unknown[]): ApiError =>
  new ApiError(422, 'Validation Failed', errors)

/** 422 with a sentence. */
export const invalid = (message: string): ApiError => new ApiError(422, message)

/** GitHub's page of a list: `page` and `per_page`, with a Link header. */
export function paginate<T>(c: Context, items: readonly T[]): T[] {
  const number = (name: string, otherwise: number) =>
    Math.max(1, Number.parseInt(c.req.query(name) ?? '', 10) || otherwise)
  const size = Math.min(100, number('per_page', 30))
  const page = number('page', 1)
  const last = Math.max(1, Math.ceil(items.length / size))
  const link = (to: number, rel: string) => {
    const url = new URL(c.req.url)
    url.searchParams.set('page', String(to))
    return `<${url.href}>; rel="${rel}"`
  }
  const links = [
    ...(page > 1 ? [link(page - 1, 'prev')] : []),
    ...(page < last ? [link(page + 1, 'next'), link(last, 'last')] : []),
    ...(page > 1 ? [link(1, 'first')] : []),
  ]
  if (links.length > 0) c.header('Link', links.join(', '))
  return items.slice((page - 1) * size, page * size)
}

/** Whether a value is a JSON object. */
export const isObject = (value: unknown): value is Json =>
  typeof value === 'object' && value !== null && !Array.isArray(value)
