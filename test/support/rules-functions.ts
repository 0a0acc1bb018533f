import { parseAllDocuments } from 'yaml'
import type { Subscription } from '#shared/events/subscriptions.ts'
import { foldersIn, under, type Files } from './repository.ts'

/** A Kubernetes object, as far as the rules look into it. */
interface Manifest {
  readonly kind?: string
  readonly apiVersion?: string
  readonly metadata?: { readonly name?: string }
  readonly spec?: {
    readonly template?: { readonly spec?: { readonly timeoutSeconds?: number } }
    readonly subscriber?: { readonly ref?: { readonly kind?: string; readonly name?: string } }
    readonly delivery?: { readonly deadLetterSink?: { readonly uri?: string } }
    readonly filter?: { readonly attributes?: Readonly<Record<string, string>> }
    readonly filters?: readonly Filter[]
  }
}

interface Filter {
  readonly exact?: Readonly<Record<string, string>>
  readonly all?: readonly Filter[]
  readonly any?: readonly Filter[]
}

type Table = Readonly<Record<string, readonly Subscription[]>>

/** One folder is one function is one Knative Service; one that events wake has a handler. */
export function functionFolders(files: Files, table: Table): string[] {
  const names = foldersIn(files, 'functions/')
  if (names.length === 0) return []
  const missing = names.flatMap((name) =>
    ['main.ts', 'app.ts', ...(name in table ? ['handler.ts'] : [])]
      .filter((file) => !files.has(`functions/${name}/${file}`))
      .map((file) => `functions/${name}: has no ${file}`),
  )
  const services = names.flatMap((name) => {
    const path = `knative/${name}.yaml`
    const found = manifests(files.get(path) ?? '').filter(
      ({ apiVersion, kind }) => kind === 'Service' && apiVersion === 'serving.knative.dev/v1',
    )
    if (found.length !== 1 || found[0]?.metadata?.name !== name)
      return [`${path}: is not the one Knative Service ${name}`]
    // It is also the grace period: with less, a function never sees SIGTERM.
    const seconds = found[0].spec?.template?.spec?.timeoutSeconds ?? 0
    return seconds < 60 ? [`${path}: timeoutSeconds is ${seconds}, less than 60`] : []
  })
  const orphans = under(files, 'knative/', '.yaml')
    .filter(([, text]) => manifests(text).some(({ apiVersion }) => apiVersion?.startsWith('serving.knative.dev/')))
    .filter(([path]) => !names.includes(path.slice('knative/'.length, -'.yaml'.length)))
    .map(([path]) => `${path}: there is no such function`)
  const consumers = Object.keys(table).filter((name) => !names.includes(name))
  return [...missing, ...services, ...orphans, ...consumers.map((name) => `${name}: subscribes, but is no function`)]
}

/** The triggers say to the broker what the table of subscriptions says to the outbox. */
export function triggers(files: Files, table: Table): string[] {
  const text = files.get('eventing/triggers.yaml')
  if (text === undefined && under(files, 'eventing/', '.yaml').length === 0) return []
  const found = manifests(text ?? '').filter(({ kind }) => kind === 'Trigger')
  const problems = found.flatMap(({ metadata, spec }) => {
    const { kind, name = 'nobody' } = spec?.subscriber?.ref ?? {}
    const sink = spec?.delivery?.deadLetterSink?.uri
    return [
      ...(kind === 'Service' ? [] : [`trigger ${metadata?.name}: its subscriber is not a Service`]),
      ...(sink?.endsWith(`/dead-letter/${name}`) ? [] : [`trigger ${metadata?.name}: dead letters go to ${sink}`]),
    ]
  })
  const said = found.flatMap(({ spec = {} }) =>
    alternatives({
      all: [...(spec.filter?.attributes ? [{ exact: spec.filter.attributes }] : []), ...(spec.filters ?? [])],
    }).map((attributes) => line(spec.subscriber?.ref?.name ?? 'nobody', attributes)),
  )
  const meant = Object.entries(table).flatMap(([consumer, subscriptions]) =>
    subscriptions.map(({ type, where }) => line(consumer, type === '*' ? {} : { type, ...where })),
  )
  const twice = said.filter((each, index) => said.indexOf(each) !== index)
  return [
    ...problems,
    ...meant.filter((each) => !said.includes(each)).map((each) => `no trigger for ${each}`),
    ...said.filter((each) => !meant.includes(each)).map((each) => `a trigger that no subscription asks for: ${each}`),
    ...twice.map((each) => `two triggers for ${each}`),
  ]
}

/** The sets of exact attributes of which one has to be met. */
function alternatives({ exact, all, any }: Filter): Record<string, string>[] {
  if (exact) return [{ ...exact }]
  if (any) return any.flatMap(alternatives)
  return (all ?? []).reduce<Record<string, string>[]>(
    (sets, each) => sets.flatMap((set) => alternatives(each).map((more) => ({ ...set, ...more }))),
    [{}],
  )
}

function line(consumer: string, attributes: Readonly<Record<string, string>>): string {
  const sorted = Object.entries(attributes).toSorted(([a], [b]) => a.localeCompare(b))
  return `${consumer} (${sorted.map(([name, value]) => `${name}=${value}`).join(', ') || 'every event'})`
}

function manifests(text: string): Manifest[] {
  return parseAllDocuments(text).map((document) => (document.toJS() ?? {}) as Manifest)
}
