import examples from '@octokit/webhooks-examples' with { type: 'json' }

/** A body as a sender wrote it. */
export type Body = Readonly<Record<string, unknown>>

/** Every recorded payload of github.com, with the event it is of. */
export const recorded: readonly { readonly event: string; readonly body: Body }[] = (
  examples as unknown as readonly { readonly name: string; readonly examples: readonly Body[] }[]
).flatMap(({ name, examples: bodies }) => bodies.map((body) => ({ event: name, body })))

/** The document's tables, word by word but for the rows that are the same in every section. */
const tables = `
check_run | "repository.url" value | \`com.github.check_run.\` + "action" value | "check_run.id" value | "check_run.completed_at" value, unless "null", then "check_run.started_at" value
check_suite | "repository.url" value | \`com.github.check_suite.\` + "action" value | "check_suite.id" value | "check_suite.updated_at" value
commit_comment | "comment.url" value + \`/\` + "comment.commit_id" value | \`com.github.commit_comment.\` + "action" value | "comment.id" value | "comment.updated_at" value
content_reference | "repository.url" value | \`com.github.content_reference.\` + "action" value | "content_reference.id" value | Current time
create | "repository.url" value | \`com.github.create.\` + "ref_type" value | "ref" value | Current time
delete | "repository.url" value | \`com.github.delete.\` + "ref_type" value | "ref" value | Current time
deploy_key | "repository.url" value | \`com.github.deploy_key.\` + "action" value | "key.id" value | "key.deleted_at" value, unless null then "key.created_at" value
deployment | "repository.url" value | \`com.github.deployment\` | "deployment.id" value | "deployment.updated_at" value
deployment_status | "deployment.url" value | \`com.github.deployment_status.\` + "deployment_status.state" value | "deployment_status.url" value | "deployment_status.updated_at" value
fork | "repository.url" value | \`com.github.fork\` | "forkee.url" value | "forkee.created_at" value
github_app_authorization | "sender.url" value | \`com.github.github_app_authorization\` | Omit | Current time
gollum | "repository.url" value | \`com.github.gollum\` | Omit | Current time
installation | "installation.account.url" value | \`com.github.installation.\` + "action" value | "installation.id" value | "installation.updated_at" value
installation_repositories | "installation.account.url" value | \`com.github.installation_repository.\` + "action" value | "installation.id" value | "installation.updated_at" value
issue_comment | "issue.url" value | \`com.github.issue_comment.\` + "action" value | "comment.id" value | "comment.updated_at" value
issues | "repository.url" value | \`com.github.issues.\` + "action" value | "issue.number" value | "issue.updated_at" value
label | "repository.url" value | \`com.github.label.\` + "action" value | "label.name" value | Current time
marketplace_purchase | "sender.url" value without the \`/username\` portion | \`com.github.marketplace_purchase.\` + "action" value | "marketplace_purchase.account.login" value | "effective_date" value
member | "repository.url" value | \`com.github.member.\` + "action" value | "member.login" value | Current time
membership | "team.url" value | \`com.github.membership.\` + "scope" value + \`.\` + "action" value | "member.login" value | Current time
meta | "repository.url" value | \`com.github.meta.\` + "action" value | "hook_id" value | "hook.updated_at" value
milestone | "repository.url" value | \`com.github.milestone.\` + "action" value | "milestone.number" value | "milestone.updated_at" value
organization | "organization.url" value | \`com.github.organization.\` + "action" value | "membership.user.login" value | Current time
org_block | "organization.url" value | \`com.github.org_block.\` + "action" value | "blocked_user.login" value | Current time
page_build | "repository.url" value | \`com.github.page_build\` | "build.url" value | "pusher.updated_at" value
project_card | "repository.url" value | \`com.github.project_card.\` + "action" value | "project_card.id" value | "project_card.updated_at" value
project_column | "repository.url" value | \`com.github.project_column.\` + "action" value | "project_column.id" value | "project_column.updated_at" value
project | "repository.url" value | \`com.github.project.\` + "action" value | "project.id" value | "project.updated_at" value
public | "repository.owner.url" value | \`com.github.public\` | "repository.name" value | "repository.updated_at" value
pull_request | "repository.url" value | \`com.github.pull_request.\` + "action" value | "number" value | "pull_request.updated_at" value
pull_request_review | "pull_request.url" value | \`com.github.pull_request_review.\` + "action" value | "review.id" value | "review.submitted_at" value
pull_request_review_comment | "pull_request.url" value | \`com.github.pull_request_review_comment.\` + "action" value | "comment.id" value | "pull_request.updated_at" value
pull_request_review_thread | "pull_request.url" value | \`com.github.pull_request_review_thread.\` + "action" value | "pull_request.id" value | Current time
push | "repository.url" value | \`com.github.push\` | "ref" value | Current time
registry_package | "repository.url" value | \`com.github.registry_package.\` + "action" value | "registry_package.html_url" value | "registry_package.updated_at" value
release | "repository.url" value | \`com.github.release.\` + "action" value | "release.id" value | "release.*_at" value based on action
repository | "repository.owner.url" value | \`com.github.repository.\` + "action" value | "repository.name" value | "repository.updated_at" value
repository_import | "repository.owner.url" value | \`com.github.repository_import\` | "repository.name" value | "repository.updated_at" value
repository_vulnerability_alert | "repository.url" value | \`com.github.repository_vulnerability_alert.\` + "action" value | "alert.id" value | Current time
security_advisory | \`github.com\` | \`com.github.security_advisory.\` + "action" value | "security_advisory.ghsa_id" value | "security_advisory.updated_at" value
star | "repository.url" value | \`com.github.star.\` + "action" value | Omit | "starred_at" value, if present otherwise Current time
status | "repository.url" value | \`com.github.status.\` + "state" value | "sha" value | "updated_at" value
team | "repository.url" value | \`com.github.team.\` + "action" value | "team.id" value | "updated_at" value
team_add | "repository.url" value | \`com.github.team_add\` | "team.id" value | Current time
watch | "repository.url" value | \`com.github.watch.\` + "action" value | Omit | Current time
workflow_run | "repository.url" value | \`com.github.workflow_run.\` + "action" value | "workflow.name" value | Current time
ping | "repository.url" value | \`com.github.ping\` | "hook_id" value | "hook.updated_at" value
`

const sections = new Map(
  tables
    .trim()
    .split('\n')
    .map((line) => line.split(' | ').map((cell) => cell.trim()))
    .map(([event = '', source = '', type = '', subject = '', time = '']) => [event, { source, type, subject, time }]),
)

/** Events that have a section. */
export const documented: readonly string[] = [...sections.keys()]

/** What the document says of a body; `undefined` for the current time and for what is omitted or not in the body. */
export function expected(event: string, body: Body) {
  const section = sections.get(event)
  if (section === undefined) return undefined
  const { source, type, subject, time } = section
  const times = [...time.replace('*', String(body['action'])).matchAll(/"([\w.]+)"(?: value|$)/g)]
  return {
    source: source.includes('without')
      ? expression(source, body)?.split('/').slice(0, -1).join('/')
      : expression(source, body),
    type: expression(type, body),
    subject: subject === 'Omit' ? undefined : expression(subject, body),
    time: times.map(([, path = '']) => timestamp(value(path, body))).find((found) => found !== undefined),
  }
}

function expression(cell: string, body: Body): string | undefined {
  const parts = cell.split(' + ').map((part) => {
    const literal = /^`([^`]+)`/.exec(part)?.[1]
    return literal ?? value(/^"([\w.]+)"/.exec(part)?.[1] ?? '', body)
  })
  return parts.some((part) => part == null) ? undefined : parts.join('')
}

function value(path: string, body: Body): unknown {
  let found: unknown = body
  for (const name of path.split('.')) found = (found as Record<string, unknown> | null | undefined)?.[name]
  return found
}

/** "not a timestamp??" of installations: seconds. */
function timestamp(found: unknown): string | undefined {
  if (typeof found === 'number') return new Date(found * 1000).toISOString()
  return typeof found === 'string' ? found : undefined
}
