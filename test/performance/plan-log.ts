/** A node of a plan, as auto_explain writes it. */
export interface PlanNode {
  readonly 'Node Type': string
  readonly 'Relation Name'?: string
  readonly 'Index Name'?: string
  readonly 'Actual Rows'?: number
  readonly 'Actual Loops'?: number
  readonly 'Rows Removed by Filter'?: number
  readonly 'Rows Removed by Index Recheck'?: number
  readonly Plans?: readonly PlanNode[]
}

/** An executed statement. */
export interface Plan {
  /** `application_name`: the function. */
  readonly user: string
  readonly text: string
  readonly ms: number
  readonly root: PlanNode
}

/** How often a table was touched by one scan of a statement, rows that were thrown away included. */
export interface Read {
  readonly table: string
  /** Undefined: the table was read from its first page to its last. */
  readonly index: string | undefined
  readonly rows: number
}

/** The plans in a server's log whose lines begin with `application_name`, each entry followed by indented JSON. */
export function plansIn(log: string): Plan[] {
  const entries = log.split(/^(?=\S)/m)
  return entries.flatMap((entry): Plan[] => {
    const [, user = '', ms = '', json] = /^app=(\S*) .*duration: ([\d.]+) ms\s+plan:\n([\s\S]+)$/.exec(entry) ?? []
    if (json === undefined) return []
    const { 'Query Text': text, Plan: root } = JSON.parse(json) as { 'Query Text': string; Plan: PlanNode }
    return [{ user, text, ms: Number(ms), root }]
  })
}

/** All scans below a node. */
export function readsOf(node: PlanNode): Read[] {
  const below = (node.Plans ?? []).flatMap((each) => readsOf(each))
  const table = node['Relation Name']
  if (table === undefined || !node['Node Type'].includes('Scan')) return below
  const loops = node['Actual Loops'] ?? 0
  const touched =
    (node['Actual Rows'] ?? 0) + (node['Rows Removed by Filter'] ?? 0) + (node['Rows Removed by Index Recheck'] ?? 0)
  // The index of a bitmap scan is named by the node below it.
  const bitmap = node.Plans?.find((each) => each['Node Type'] === 'Bitmap Index Scan')?.['Index Name']
  return [{ table, index: node['Index Name'] ?? bitmap, rows: Math.round(touched * loops) }, ...below]
}
