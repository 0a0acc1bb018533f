/** A label that means something to us. */
export interface LabelDefinition {
  /** Default name; a project may rename it. */
  readonly name: string
  readonly group: LabelGroup
  /** Six hex digits, as forges want them. */
  readonly color: string
  /** At most 100 characters: GitHub's limit. */
  readonly description: string
}

/** What a group of labels is for. `run` asks for work, the others describe or choose. */
export type LabelGroup = 'run' | 'state' | 'need' | 'mode' | 'ai' | 'approval'

const stages: readonly (readonly [id: string, description: string])[] = [
  ['intake', 'Turn the request into a clear task'],
  ['vision', 'Write the vision'],
  ['prd', 'Write the product requirements'],
  ['arch', 'Describe the architecture'],
  ['design', 'Work out the design'],
  ['plan', 'Plan the delivery'],
  ['dev', 'Write the code and open a pull request'],
  ['doc-audit', 'Hold the documents against the code'],
  ['qa', 'Test the candidate'],
  ['release', 'Prepare the release'],
  ['postdeploy', 'Look after the deployment'],
  ['ops', 'Operate and improve'],
  ['self-improve', 'Improve prompts and instructions'],
]

const needs = ['input', 'pm', 'sa', 'qa', 'sre', 'em', 'km', 'reviewer']
const states = ['blocked', 'in-review', 'approved', 'superseded', 'abandoned']
const efforts = ['low', 'medium', 'high', 'extra-high']

/** The whole set, from which the labels of a repository are created and repaired. */
export const labels: readonly LabelDefinition[] = [
  ...stages.flatMap(([id, description]): LabelDefinition[] => [
    { name: `run:${id}`, group: 'run', color: '1d76db', description },
    { name: `run:${id}:revise`, group: 'run', color: '5319e7', description: `${description}, again, with the review` },
  ]),
  { name: 'run:rethink', group: 'run', color: '1d76db', description: 'Question the approach and start over' },
  { name: 'run:ai-repair', group: 'run', color: '1d76db', description: 'Repair what an agent broke' },
  ...states.map((id): LabelDefinition => ({
    name: `state:${id}`,
    group: 'state',
    color: 'c2e0c6',
    description: `The work is ${id}; set by codex-k8s`,
  })),
  ...needs.map((id): LabelDefinition => ({
    name: `need:${id}`,
    group: 'need',
    color: 'fbca04',
    description: id === 'input' ? 'Somebody has to answer' : `${id} has to act`,
  })),
  ...stages.map(([id]): LabelDefinition => ({
    name: `approve:${id}`,
    group: 'approval',
    color: '0e8a16',
    description: `Approves the ${id} run that waits, where its gate takes a label`,
  })),
  { name: 'mode:discussion', group: 'mode', color: 'd4c5f9', description: 'An agent that only comments' },
  ...efforts.map((id): LabelDefinition => ({
    name: `ai-effort:${id}`,
    group: 'ai',
    color: 'ededed',
    description: `Effort of the next run: ${id}`,
  })),
]

const byName = new Map(labels.map((label) => [label.name, label]))

/** The label's model name, for the open-ended part of the set: `ai-model:<name>` and the older `[ai-model-<name>]`. */
const model = /^(?:ai-model:(?<name>[a-z0-9][a-z0-9.-]{0,60})|\[ai-model-(?<older>[a-z0-9][a-z0-9.-]{0,60})\])$/

/** The older form of the effort labels. */
const effort = /^\[ai-reasoning-(low|medium|high|extra-high)\]$/

/** A project's own names for our labels, by default name; settings are JSON that an administrator wrote. */
export function renamesIn(settings: object): Readonly<Record<string, string>> {
  const own = Object.entries((settings as { labels?: object }).labels ?? {})
  return Object.fromEntries(own.filter((entry): entry is [string, string] => typeof entry[1] === 'string'))
}

/** The set as a project calls it: what its repository has to have. */
export function labelsOf(settings: object): LabelDefinition[] {
  const renames = renamesIn(settings)
  return labels.map((label) => ({ ...label, name: renames[label.name] ?? label.name }))
}

/** A label of the set by the name that the forge shows. */
export interface KnownLabel {
  readonly group: LabelGroup
  /** Default name, whatever the project calls it. */
  readonly label: string
}

/**
 * What a label on a forge means to us: compared exactly after NFC, so that neither case, nor white space, nor a
 * look-alike letter makes one. `renames` maps default names to the project's own; a renamed default means nothing.
 */
export function labelGroup(name: string, renames: Readonly<Record<string, string>>): KnownLabel | undefined {
  const shown = name.normalize('NFC')
  const renamed = Object.entries(renames).find(([, own]) => own.normalize('NFC') === shown)?.[0]
  const fallback = Object.hasOwn(renames, shown) ? undefined : shown
  const label = byName.get(renamed ?? fallback ?? '')
  if (label !== undefined) return { group: label.group, label: label.name }
  const found = model.exec(fallback ?? '')?.groups
  const modelName = found?.['name'] ?? found?.['older']
  if (modelName !== undefined) return { group: 'ai', label: `ai-model:${modelName}` }
  const [, level] = effort.exec(fallback ?? '') ?? []
  return level === undefined ? undefined : { group: 'ai', label: `ai-effort:${level}` }
}
