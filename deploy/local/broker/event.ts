import { CloudEvent } from 'cloudevents'

/**
 * An event on its way: attributes and extensions by name, and the data's bytes. Attributes are what the headers of the
 * binary mode say, percent-encoding and all: Knative neither decodes nor encodes them, nor do its filters.
 */
export interface BrokerEvent {
  readonly attributes: Readonly<Record<string, string>>
  readonly contentType: string | undefined
  readonly body: Buffer
}

/** Headers as a plain object or as fetch has them. */
type HeaderPairs = Iterable<readonly [string, string]>

/**
 * Reads either mode of the HTTP binding. Undefined: this is no CloudEvent; an error: it is one, and malformed. The
 * `cloudevents` package judges the attributes; the data never passes through it, because it would be written anew.
 */
export function readEvent(headers: HeaderPairs, body: Buffer): BrokerEvent | undefined {
  const given = new Map([...headers].map(([name, value]) => [name.toLowerCase(), value]))
  const contentType = given.get('content-type')
  if (contentType?.startsWith('application/cloudevents+json')) return structured(body)
  if (!given.has('ce-specversion')) return undefined
  const attributes = [...given].flatMap(([name, value]) => (name.startsWith('ce-') ? [[name.slice(3), value]] : []))
  return valid({ attributes: Object.fromEntries(attributes) as Record<string, string>, contentType, body })
}

function structured(body: Buffer): BrokerEvent {
  const {
    data,
    data_base64: encoded,
    datacontenttype,
    ...rest
  } = JSON.parse(body.toString()) as Record<string, unknown>
  const set = Object.entries(rest).filter(([, value]) => value !== null && value !== undefined)
  if (set.some(([, value]) => typeof value === 'object'))
    throw new Error('an attribute is neither text, number nor boolean')
  const isJson = datacontenttype === undefined || /[/+]json\b/.test(String(datacontenttype))
  const content =
    typeof encoded === 'string'
      ? Buffer.from(encoded, 'base64')
      : Buffer.from(isJson ? (JSON.stringify(data) ?? '') : String(data))
  const contentType = datacontenttype === undefined ? 'application/json' : String(datacontenttype)
  const attributes = Object.fromEntries(set.map(([name, value]) => [name, headerText(String(value))]))
  return valid({ attributes, contentType: content.length > 0 ? contentType : undefined, body: content })
}

function valid(event: BrokerEvent): BrokerEvent {
  // The package would make up an id and a version that are not there.
  for (const name of ['id', 'specversion']) if (!event.attributes[name]) throw new Error(`attribute ${name} is missing`)
  if (event.attributes['specversion'] !== '1.0') throw new Error('only CloudEvents 1.0')
  new CloudEvent(event.attributes as unknown as ConstructorParameters<typeof CloudEvent>[0])
  return event
}

/** The same event with more extensions. */
export function withExtensions(event: BrokerEvent, extensions: Readonly<Record<string, string>>): BrokerEvent {
  return { ...event, attributes: { ...event.attributes, ...extensions } }
}

/** The same event without one extension. */
export function withoutExtension(event: BrokerEvent, name: string): BrokerEvent {
  const { [name]: _, ...attributes } = event.attributes
  return { ...event, attributes }
}

/** The headers of the binary mode, the only one in which the broker passes an event on. */
export function binaryHeaders(event: BrokerEvent): Record<string, string> {
  const attributes = Object.entries(event.attributes).map(([name, value]) => [`ce-${name}`, value])
  return {
    ...(Object.fromEntries(attributes) as Record<string, string>),
    ...(event.contentType === undefined ? {} : { 'content-type': event.contentType }),
  }
}

/** UTF-8 as the bytes of a header, which Node spells in Latin-1. */
const headerText = (value: string) => Buffer.from(value).toString('latin1')
