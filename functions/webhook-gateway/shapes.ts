import { at, type JsonObject } from './json.ts'

/** Members that any body may have. */
const common = ['action', 'repository', 'organization', 'enterprise', 'installation', 'sender', 'changes']

/** What the body of an event has that no earlier one in the list has. */
interface Shape {
  readonly event: string
  /** Paths that are there, or are not. */
  readonly marks: readonly { readonly path: readonly string[]; readonly isThere: boolean }[]
  /** For bodies without a member of their own: these actions and no members but the common ones and these. */
  readonly plain?: { readonly actions: readonly string[]; readonly members: readonly string[] }
}

/** `marks` are dotted paths; one with `!` in front must not be there. */
const shape = (event: string, marks: string): Shape => ({
  event,
  marks: marks.split(' ').map((mark) => ({ path: mark.replace('!', '').split('.'), isThere: !mark.startsWith('!') })),
})
const plain = (event: string, marks: string, actions: string, members = ''): Shape => ({
  ...shape(event, marks),
  plain: { actions: actions.split(' '), members: members.split(' ') },
})

/** The first shape that fits is what the body is; so what has more comes before what has less. */
const shapes: readonly Shape[] = [
  shape('ping', 'zen hook_id hook'),
  shape('meta', 'hook_id hook action'),
  shape('sub_issues', 'sub_issue parent_issue'),
  shape('issue_dependencies', 'blocked_issue'),
  shape('issue_dependencies', 'blocking_issue'),
  shape('issue_comment', 'issue comment'),
  shape('issues', 'issue.number action repository'),
  shape('discussion_comment', 'discussion comment'),
  shape('discussion', 'discussion'),
  shape('pull_request_review_thread', 'pull_request thread'),
  shape('pull_request_review_comment', 'pull_request comment'),
  shape('pull_request_review', 'pull_request review'),
  shape('pull_request', 'pull_request number'),
  shape('workflow_job', 'workflow_job'),
  shape('deployment_protection_rule', 'deployment_callback_url'),
  shape('deployment_review', 'workflow_run since'),
  shape('deployment_status', 'deployment deployment_status'),
  shape('deployment', 'deployment'),
  shape('commit_comment', 'comment'),
  shape('workflow_run', 'workflow_run'),
  shape('workflow_dispatch', 'workflow inputs ref'),
  shape('repository_dispatch', 'client_payload branch'),
  shape('check_run', 'check_run'),
  shape('check_suite', 'check_suite'),
  shape('secret_scanning_alert_location', 'alert location'),
  shape('secret_scanning_alert', 'alert.secret_type'),
  shape('code_scanning_alert', 'alert commit_oid'),
  shape('dependabot_alert', 'alert.security_vulnerability'),
  shape('repository_vulnerability_alert', 'alert.affected_package_name'),
  shape('security_advisory', 'security_advisory'),
  shape('repository_advisory', 'repository_advisory'),
  shape('repository_ruleset', 'repository_ruleset'),
  shape('branch_protection_rule', 'rule'),
  shape('custom_property_values', 'new_property_values'),
  shape('custom_property', 'definition'),
  shape('project_card', 'project_card'),
  shape('project_column', 'project_column'),
  shape('project', 'project'),
  shape('projects_v2_item', 'projects_v2_item'),
  shape('projects_v2_status_update', 'projects_v2_status_update'),
  shape('projects_v2', 'projects_v2'),
  shape('registry_package', 'registry_package'),
  shape('package', 'package'),
  shape('release', 'release'),
  shape('merge_group', 'merge_group'),
  shape('milestone', 'milestone'),
  shape('label', 'label'),
  shape('deploy_key', 'key'),
  shape('gollum', 'pages'),
  shape('fork', 'forkee'),
  shape('page_build', 'build'),
  shape('content_reference', 'content_reference'),
  shape('org_block', 'blocked_user'),
  shape('membership', 'team member scope'),
  shape('team', 'team action'),
  shape('team_add', 'team'),
  shape('member', 'member'),
  shape('marketplace_purchase', 'marketplace_purchase'),
  shape('sponsorship', 'sponsorship'),
  shape('personal_access_token_request', 'personal_access_token_request'),
  shape('star', 'starred_at'),
  shape('push', 'pusher commits'),
  shape('status', 'sha context state'),
  shape('create', 'ref ref_type master_branch'),
  shape('delete', 'ref ref_type'),
  shape('repository_import', 'status !action'),
  shape('installation_target', 'target_type account'),
  shape('installation_repositories', 'repositories_added repositories_removed'),
  shape('security_and_analysis', 'changes.from.security_and_analysis'),
  plain('watch', 'repository', 'started'),
  plain('branch_protection_configuration', 'repository', 'enabled disabled'),
  plain(
    'repository',
    'repository',
    'created deleted archived unarchived edited renamed transferred publicized privatized anonymous_access_enabled anonymous_access_disabled',
  ),
  plain('public', 'repository !action', ''),
  plain(
    'organization',
    'organization !repository',
    'member_added member_removed member_invited renamed deleted',
    'membership invitation user',
  ),
  plain(
    'installation',
    'installation.account !repository',
    'created deleted suspend unsuspend new_permissions_accepted',
    'repositories requester',
  ),
  plain('github_app_authorization', 'sender !repository', 'revoked'),
]

const marked = new Set(shapes.filter((each) => each.plain === undefined).map(({ event }) => event))

/** The event that a body is of, by what it holds; undefined for one that we do not know. */
export function shapeOf(body: JsonObject): string | undefined {
  return shapes.find((each) => fits(each, body))?.event
}

/**
 * Whether `X-GitHub-Event`, which nobody signs, may be believed for this body. A body that we recognise is of that event
 * and no other. One that we do not is of a new event, or of a plain one that has grown a member.
 */
export function isBodyOf(event: string, body: JsonObject): boolean {
  const recognised = shapeOf(body)
  return recognised === undefined ? !marked.has(event) : recognised === event
}

function fits(each: Shape, body: JsonObject): boolean {
  const marks = each.marks.every(({ path, isThere }) => (at(body, path) !== undefined) === isThere)
  if (!marks || each.plain === undefined) return marks
  const { actions, members } = each.plain
  const action = at(body, 'action') ?? ''
  return (
    typeof action === 'string' &&
    actions.includes(action) &&
    Object.keys(body).every((name) => common.includes(name) || members.includes(name))
  )
}
