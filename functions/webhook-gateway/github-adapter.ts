import { at, textAt, type JsonObject } from './json.ts'

/** What a CloudEvent says of a delivery besides its id. `subject` is empty where the document omits it. */
export interface Attributes {
  readonly source: string
  readonly type: string
  readonly subject: string
  /** RFC 3339. */
  readonly time: string
}

/**
 * One section of the document. `{path}` stands for a value of the body. The document names one time per section, now
 * and then with a second choice; a time that is absent or null is the time of arrival.
 */
interface Row {
  readonly source: string
  readonly type: string
  readonly subject?: string
  readonly time?: readonly string[]
}

const row = (source: string, type: string, subject?: string, ...time: string[]): Row => ({
  source,
  type,
  time,
  ...(subject === undefined ? {} : { subject }),
})

/**
 * The CloudEvents GitHub adapter, by `X-GitHub-Event`:
 * https://github.com/cloudevents/spec/blob/main/cloudevents/adapters/github.md
 * Where it is open or cannot be met: `status` ends in a dot with a question (we append the state), `team_add` ends in an
 * action that GitHub does not send (left out), and there is no `ping` (ours follows `meta`). `push` has the repository's
 * HTML address as its source, because that is what its "repository.url" holds.
 */
const rows: Readonly<Record<string, Row>> = {
  check_run: row(
    '{repository.url}',
    'check_run.{action}',
    '{check_run.id}',
    'check_run.completed_at',
    'check_run.started_at',
  ),
  check_suite: row('{repository.url}', 'check_suite.{action}', '{check_suite.id}', 'check_suite.updated_at'),
  commit_comment: row(
    '{comment.url}/{comment.commit_id}',
    'commit_comment.{action}',
    '{comment.id}',
    'comment.updated_at',
  ),
  content_reference: row('{repository.url}', 'content_reference.{action}', '{content_reference.id}'),
  create: row('{repository.url}', 'create.{ref_type}', '{ref}'),
  delete: row('{repository.url}', 'delete.{ref_type}', '{ref}'),
  deploy_key: row('{repository.url}', 'deploy_key.{action}', '{key.id}', 'key.deleted_at', 'key.created_at'),
  deployment: row('{repository.url}', 'deployment', '{deployment.id}', 'deployment.updated_at'),
  deployment_status: row(
    '{deployment.url}',
    'deployment_status.{deployment_status.state}',
    '{deployment_status.url}',
    'deployment_status.updated_at',
  ),
  fork: row('{repository.url}', 'fork', '{forkee.url}', 'forkee.created_at'),
  github_app_authorization: row('{sender.url}', 'github_app_authorization'),
  gollum: row('{repository.url}', 'gollum'),
  installation: row(
    '{installation.account.url}',
    'installation.{action}',
    '{installation.id}',
    'installation.updated_at',
  ),
  installation_repositories: row(
    '{installation.account.url}',
    'installation_repository.{action}',
    '{installation.id}',
    'installation.updated_at',
  ),
  issue_comment: row('{issue.url}', 'issue_comment.{action}', '{comment.id}', 'comment.updated_at'),
  issues: row('{repository.url}', 'issues.{action}', '{issue.number}', 'issue.updated_at'),
  label: row('{repository.url}', 'label.{action}', '{label.name}'),
  marketplace_purchase: row(
    '{sender.url}',
    'marketplace_purchase.{action}',
    '{marketplace_purchase.account.login}',
    'effective_date',
  ),
  member: row('{repository.url}', 'member.{action}', '{member.login}'),
  membership: row('{team.url}', 'membership.{scope}.{action}', '{member.login}'),
  meta: row('{repository.url}', 'meta.{action}', '{hook_id}', 'hook.updated_at'),
  milestone: row('{repository.url}', 'milestone.{action}', '{milestone.number}', 'milestone.updated_at'),
  organization: row('{organization.url}', 'organization.{action}', '{membership.user.login}'),
  org_block: row('{organization.url}', 'org_block.{action}', '{blocked_user.login}'),
  page_build: row('{repository.url}', 'page_build', '{build.url}', 'pusher.updated_at'),
  ping: row('{repository.url}', 'ping', '{hook_id}', 'hook.updated_at'),
  project_card: row('{repository.url}', 'project_card.{action}', '{project_card.id}', 'project_card.updated_at'),
  project_column: row(
    '{repository.url}',
    'project_column.{action}',
    '{project_column.id}',
    'project_column.updated_at',
  ),
  project: row('{repository.url}', 'project.{action}', '{project.id}', 'project.updated_at'),
  public: row('{repository.owner.url}', 'public', '{repository.name}', 'repository.updated_at'),
  pull_request: row('{repository.url}', 'pull_request.{action}', '{number}', 'pull_request.updated_at'),
  pull_request_review: row('{pull_request.url}', 'pull_request_review.{action}', '{review.id}', 'review.submitted_at'),
  pull_request_review_comment: row(
    '{pull_request.url}',
    'pull_request_review_comment.{action}',
    '{comment.id}',
    'pull_request.updated_at',
  ),
  pull_request_review_thread: row('{pull_request.url}', 'pull_request_review_thread.{action}', '{pull_request.id}'),
  push: row('{repository.url}', 'push', '{ref}'),
  registry_package: row(
    '{repository.url}',
    'registry_package.{action}',
    '{registry_package.html_url}',
    'registry_package.updated_at',
  ),
  release: row('{repository.url}', 'release.{action}', '{release.id}', 'release.{action}_at'),
  repository: row('{repository.owner.url}', 'repository.{action}', '{repository.name}', 'repository.updated_at'),
  repository_import: row('{repository.owner.url}', 'repository_import', '{repository.name}', 'repository.updated_at'),
  repository_vulnerability_alert: row('{repository.url}', 'repository_vulnerability_alert.{action}', '{alert.id}'),
  security_advisory: row(
    'github.com',
    'security_advisory.{action}',
    '{security_advisory.ghsa_id}',
    'security_advisory.updated_at',
  ),
  star: row('{repository.url}', 'star.{action}', undefined, 'starred_at'),
  status: row('{repository.url}', 'status.{state}', '{sha}', 'updated_at'),
  team: row('{repository.url}', 'team.{action}', '{team.id}', 'updated_at'),
  team_add: row('{repository.url}', 'team_add', '{team.id}'),
  watch: row('{repository.url}', 'watch.{action}'),
  workflow_run: row('{repository.url}', 'workflow_run.{action}', '{workflow.name}'),
}

/** Where an event belongs whose section names nothing that this body has: the narrowest that every forge event carries. */
const owners = ['repository.url', 'organization.url', 'installation.account.url', 'hook.url', 'sender.url']

/** What a source may be: narrower than RFC 3986, so that no receiver's parser refuses what we accepted. */
const uri = /^(?:https?:\/\/[a-z0-9.-]+(?::\d{1,5})?(?:\/(?:[\w.~:@!$&'()*+,;=-]|%[0-9a-f]{2})*)*|github\.com)$/i
const rfc3339 = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?(?:Z|[+-]\d\d:\d\d)$/
const word = /^[a-z_]{1,60}$/
const control = /\p{Cc}/u

/**
 * Attributes of a delivery by the document. An event that it does not list is `com.github.<event>[.<action>]` of its
 * owner, without a subject, at the time of arrival; an action that is free text (`repository_dispatch`) is left out.
 * Undefined when the body has no value for a type or an owner.
 */
export function attributesOf(event: string, body: JsonObject, receivedAt: string): Attributes | undefined {
  const found = Object.hasOwn(rows, event) ? rows[event] : undefined
  const { source, type, subject = '', time = [] } = found ?? unlisted(event, body)
  const from = (event === 'marketplace_purchase' ? parentOf(fill(source, body)) : fill(source, body)) ?? ownerOf(body)
  const kind = fill(type, body, (value) => word.test(value))
  const about = fill(subject, body) ?? ''
  if (
    from === undefined ||
    kind === undefined ||
    !uri.test(from) ||
    from.length > 2048 ||
    control.test(about) ||
    about.length > 1024
  )
    return undefined
  const times = time.map((path) => timeAt(body, fill(path, body) ?? ''))
  return {
    source: from,
    type: `com.github.${kind}`,
    subject: about,
    time: times.find((at) => at !== undefined) ?? receivedAt,
  }
}

function unlisted(event: string, body: JsonObject): Row {
  const hasAction = word.test(textAt(body, 'action') ?? '')
  return row('{repository.url}', hasAction ? `${event}.{action}` : event)
}

const ownerOf = (body: JsonObject) => owners.map((path) => textAt(body, path)).find((url) => url !== undefined)

/** "sender.url" without the `/username` portion. */
const parentOf = (url: string | undefined) => url?.replace(/\/[^/]*$/, '')

/** The template with the body's values in it; undefined when one is missing or does not pass. */
function fill(template: string, body: JsonObject, passes: (value: string) => boolean = () => true): string | undefined {
  let complete = true
  const text = template.replace(/\{([^}]+)\}/g, (_, path: string) => {
    const value = textAt(body, path)
    if (value === undefined || !passes(value)) complete = false
    return value ?? ''
  })
  return complete ? text : undefined
}

/** A time at a path. Installations have had seconds since 1970, and texts later on. */
function timeAt(body: JsonObject, path: string): string | undefined {
  const value = at(body, path)
  if (typeof value === 'number' && value > 0 && value < 1e10) return new Date(value * 1000).toISOString()
  if (typeof value !== 'string' || !rfc3339.test(value) || Number.isNaN(Date.parse(value))) return undefined
  // 30 February is a time for Date.parse, but for nobody who checks.
  const day = value.slice(0, 'yyyy-mm-dd'.length)
  return new Date(day).toISOString().startsWith(day) ? value : undefined
}
