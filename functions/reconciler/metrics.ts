import { Counter, Gauge, Registry } from 'prom-client'
import { measures, type Measure, type Metric } from './measures.ts'

/** Asks the database one question; throws when it takes too long. */
export type Ask = (sql: string) => Promise<readonly Readonly<Record<string, unknown>>[]>

/** The text of one scrape in the Prometheus format. A question that fails takes its own metrics along and no other. */
export async function metricsText(
  ask: Ask,
  which: readonly Measure[] = measures,
): Promise<{ type: string; text: string }> {
  const registry = new Registry()
  const started = performance.now()
  const failed = new Gauge({
    name: 'codex_k8s_metrics_failed',
    help: 'Whether a question to the database failed or took too long: its metrics are missing from this scrape.',
    labelNames: ['question'],
    registers: [registry],
  })
  for (const measure of which) {
    try {
      add(registry, measure, await ask(measure.sql))
      failed.set({ question: measure.name }, 0)
    } catch {
      failed.set({ question: measure.name }, 1)
    }
  }
  new Gauge({
    name: 'codex_k8s_metrics_collect_seconds',
    help: 'How long this scrape asked the database.',
    registers: [registry],
  }).set((performance.now() - started) / 1_000)
  return { type: registry.contentType, text: await registry.metrics() }
}

function add(registry: Registry, measure: Measure, rows: Awaited<ReturnType<Ask>>): void {
  const { metrics, labels = {}, zeros } = measure
  const names = Object.keys(labels)
  const listed = names.flatMap((label) => labels[label]?.map((value) => ({ [label]: value })) ?? [])
  for (const [column, metric] of Object.entries(metrics)) {
    const write = writer(registry, metric, names)
    if (zeros === true) for (const label of listed) write(label, 0)
    const sums = new Map<string, number>()
    for (const row of rows) {
      const label = Object.fromEntries(names.map((name) => [name, known(labels[name], row[name])]))
      const key = JSON.stringify(label)
      sums.set(key, (sums.get(key) ?? 0) + Number(row[column]))
      write(label, sums.get(key) ?? 0)
    }
  }
}

function writer(registry: Registry, { name, help, type }: Metric, labelNames: string[]) {
  const options = { name, help, labelNames, registers: [registry] }
  if (type === undefined) {
    const metric = new Gauge(options)
    return (label: Record<string, string>, value: number) => metric.set(label, value)
  }
  // Made for this scrape and written once: it counts from 0 to what the database has.
  const metric = new Counter(options)
  return (label: Record<string, string>, value: number) => metric.inc(label, value)
}

function known(values: readonly string[] = [], value: unknown): string {
  return values.find((each) => each === value) ?? 'other'
}
