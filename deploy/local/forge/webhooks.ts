import { requestContext } from './context.ts'
import { correct } from './correct.ts'
import type { Forge } from './forge.ts'
import { installationOn } from './forge.ts'
import { askAsOwner } from './forward.ts'
import type { Hook } from './hooks.ts'
import { hookJson } from './hooks.ts'
import { describePush } from './push.ts'
import { isObject } from './reply.ts'
import type { Json } from './reply.ts'
import type { IssueRow, RepoRow } from './rows.ts'
import { issueJson, labelJson, userJson } from './shapes.ts'

/** Sends an event of a repository to every hook that wants it. */
export type Emit = (event: string, payload: Json, repo: RepoRow) => void

/** Events in the shape of GitHub's webhooks, to the hooks of the repository and of the Apps on it. */
export function createEmit(forge: Forge): Emit {
  return (event, payload, repo) => {
    if (!wanted(forge, event, repo)) return
    const { sender, ...rest } = withoutPermissions(correct(forge, payload)) as Json
    const action = typeof rest['action'] === 'string' ? rest['action'] : null
    const subject = isObject(rest['issue']) ? rest['issue']['number'] : rest['number']
    const about = { repo: repo.full_name, number: typeof subject === 'number' ? subject : null }
    const message = { event, action, about, repositoryId: repo.id }
    for (const hook of forge.hooks) {
      if (hook.target.type !== 'repository' || hook.target.id !== repo.id || !wants(hook, event)) continue
      forge.deliveries.send(hook, { ...message, installationId: null, payload: JSON.stringify({ ...rest, sender }) })
    }
    for (const app of forge.apps) {
      const installation = installationOn(app, repo)
      if (!installation || !app.hook.config.url || !wants(app.hook, event)) continue
      const inside = {
        id: installation.id,
        node_id: Buffer.from(`0:Installation${installation.id}`).toString('base64'),
      }
      const body = JSON.stringify({ ...rest, sender, installation: inside })
      forge.deliveries.send(app.hook, { ...message, installationId: installation.id, payload: body })
    }
  }
}

const wants = (hook: Hook, event: string) => hook.active && (hook.events.includes(event) || hook.events.includes('*'))

// Most tests have one hook or none, and a payload is not cheap.
const wanted = (forge: Forge, event: string, repo: RepoRow) =>
  forge.hooks.some((hook) => hook.target.id === repo.id && wants(hook, event)) ||
  forge.apps.some((app) => installationOn(app, repo) && app.hook.config.url !== '' && wants(app.hook, event))

/** A hook's first event. */
export async function ping(forge: Forge, hook: Hook, actor: number): Promise<void> {
  const repo = hook.target.type === 'repository' ? forge.state.repos.get(hook.target.id) : undefined
  const sender = forge.state.users.get(actor)
  const payload = {
    zen: 'Keep it logically awesome.',
    hook_id: hook.id,
    hook: hookJson(forge, hook),
    ...(repo ? { repository: withoutPermissions(await askAsOwner(forge, repo, '')) } : {}),
    ...(sender ? { sender: userJson(forge, sender) } : {}),
  }
  forge.deliveries.send(hook, {
    event: 'ping',
    action: null,
    payload: JSON.stringify(payload),
    installationId: null,
    repositoryId: repo?.id ?? null,
    about: { repo: repo?.full_name ?? null, number: null },
  })
}

/** Take over the emulator's webhook events: correct them, add those that it forgets, and emit them. */
export function connectWebhooks(
  forge: Forge,
  emit: Emit,
  pushed: (repo: RepoRow, ref: string, before: string, sender: Json) => void,
): void {
  const { state } = forge
  forge.engine.onDispatch((event, action, raw, owner, name) => {
    const repo = state.repos.findOneBy('full_name', `${owner}/${name}`)
    if (!repo || !isObject(raw)) return
    const payload = { ...raw }
    const number = isObject(payload['issue']) ? payload['issue']['number'] : undefined
    const issue = typeof number === 'number' ? issueOf(forge, repo, number) : undefined
    if (isObject(payload['label'])) payload['label'] = fullLabel(forge, repo, payload['label']['name'])
    if (action === 'edited') payload['changes'] = requestContext.getStore()?.changes ?? {}

    if (event === 'issues' && issue?.is_pull_request) {
      const { issue: pull, ...rest } = payload
      return emit('pull_request', { action, number, pull_request: pull, ...rest }, repo)
    }
    if (issue) payload['issue'] = issueJson(forge, issue, repo)
    if (event === 'pull_request') return emit(event, pullRequestEvent(forge, repo, payload), repo)
    if (event === 'pull_request_review' && isObject(payload['review'])) {
      const { created_at, ...review } = payload['review']
      payload['review'] = {
        ...review,
        submitted_at: review['submitted_at'] ?? created_at,
        state: String(review['state']).toLowerCase(),
      }
    }
    if (event === 'push' || event === 'create') {
      const ref = String(payload['ref'])
      emit(event, describePush(forge, repo, event, payload), repo)
      if (event === 'push' && isObject(payload['sender']))
        pushed(repo, ref, String(payload['before']), payload['sender'])
      return
    }
    emit(event, payload, repo)
    if (event === 'issues' && action === 'opened' && issue) labelsAtCreation(forge, emit, repo, issue, payload)
  })
}

function issueOf({ state }: Forge, repo: RepoRow, number: number): IssueRow | undefined {
  return state.issues.findBy('repo_id', repo.id).find((row) => row.number === number)
}

function fullLabel(forge: Forge, repo: RepoRow, name: unknown): unknown {
  const label = forge.state.labels.findBy('repo_id', repo.id).find((row) => row.name === name)
  return label ? labelJson(forge, label, repo) : null
}

// The emulator opens an issue with its labels and tells nobody about them.
function labelsAtCreation(forge: Forge, emit: Emit, repo: RepoRow, issue: IssueRow, payload: Json): void {
  for (const id of issue.label_ids) {
    const label = forge.state.labels.get(id)
    if (!label) continue
    addIssueEvent(forge, repo, issue.number, 'labeled', issue.user_id, label.name)
    emit('issues', { ...payload, action: 'labeled', label: labelJson(forge, label, repo) }, repo)
  }
}

/** Add to an issue's history. */
export function addIssueEvent(
  { state }: Forge,
  repo: RepoRow,
  number: number,
  event: string,
  actor: number,
  label: string | null = null,
): void {
  const row = state.issueEvents.insert({
    node_id: '',
    repo_id: repo.id,
    issue_number: number,
    event,
    actor_id: actor,
    commit_id: null,
    commit_url: null,
    label_name: label,
    assignee_id: null,
    milestone_title: null,
    rename: null,
  })
  state.issueEvents.update(row.id, { node_id: Buffer.from(`0:IssueEvent${row.id}`).toString('base64') })
}

function pullRequestEvent(forge: Forge, repo: RepoRow, payload: Json): Json {
  const pull = isObject(payload['pull_request']) ? payload['pull_request'] : {}
  const number = Number(pull['number'])
  const sender = isObject(payload['sender']) ? Number(payload['sender']['id']) : 0
  const size = requestContext.getStore()?.pullSize
  const row = forge.state.pullRequests.get(Number(pull['id']))
  if (payload['action'] === 'opened' && size && row) {
    forge.state.pullRequests.update(row.id, size)
    Object.assign(pull, size)
  }
  if (payload['action'] === 'closed' && pull['merged'] === true) addIssueEvent(forge, repo, number, 'merged', sender)
  if (payload['action'] === 'closed' || payload['action'] === 'reopened')
    addIssueEvent(forge, repo, number, payload['action'], sender)
  const { action, ...rest } = payload
  return { action, number, ...rest, pull_request: pull }
}

// Repositories in webhooks say nothing about the reader's permissions.
function withoutPermissions(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(withoutPermissions)
  if (!isObject(value)) return value
  const entries = Object.entries(value).filter(([key]) => !(key === 'permissions' && 'full_name' in value))
  return Object.fromEntries(entries.map(([key, item]) => [key, withoutPermissions(item)]))
}
