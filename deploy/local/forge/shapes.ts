import type { App, Forge, Installation } from './forge.ts'
import type { Json } from './reply.ts'
import type { IssueRow, LabelRow, PullRow, RepoRow, UserRow } from './rows.ts'

type World = Pick<Forge, 'url' | 'state'>

const nodeId = (type: string, id: number) => Buffer.from(`0:${type}${id}`).toString('base64').replace(/=+$/, '')

/** Times in GitHub's answers have whole seconds. */
export const seconds = (time: string): string => time.replace(/\.\d+Z$/, 'Z')

/** A user as GitHub shows them everywhere. */
export function userJson({ url }: Pick<Forge, 'url'>, user: UserRow): Json {
  const api = `${url}/users/${user.login}`
  return {
    login: user.login,
    id: user.id,
    node_id: user.node_id,
    avatar_url: `${url}/avatars/u/${user.login}`,
    gravatar_id: '',
    url: api,
    html_url: `${url}/${user.login}`,
    followers_url: `${api}/followers`,
    following_url: `${api}/following{/other_user}`,
    gists_url: `${api}/gists{/gist_id}`,
    starred_url: `${api}/starred{/owner}{/repo}`,
    subscriptions_url: `${api}/subscriptions`,
    organizations_url: `${api}/orgs`,
    repos_url: `${api}/repos`,
    events_url: `${api}/events{/privacy}`,
    received_events_url: `${api}/received_events`,
    type: user.type,
    user_view_type: 'public',
    site_admin: user.site_admin,
  }
}

/** A label, with its id. */
export function labelJson({ url }: Pick<Forge, 'url'>, label: LabelRow, repo: RepoRow): Json {
  return {
    id: label.id,
    node_id: label.node_id,
    url: `${url}/repos/${repo.full_name}/labels/${encodeURIComponent(label.name)}`,
    name: label.name,
    color: label.color,
    default: label.default,
    description: label.description,
  }
}

/** An App as it appears beside what it made. */
export function appJson({ url }: Pick<Forge, 'url'>, app: App): Json {
  return {
    id: app.id,
    client_id: app.clientId,
    slug: app.slug,
    node_id: nodeId('App', app.id),
    owner: null,
    name: app.name,
    description: null,
    external_url: `${url}/apps/${app.slug}`,
    html_url: `${url}/apps/${app.slug}`,
    created_at: app.createdAt,
    updated_at: app.createdAt,
    permissions: app.permissions,
    events: app.events,
  }
}

/** An installation of an App. */
export function installationJson(forge: Pick<Forge, 'url'>, app: App, installation: Installation): Json {
  const { id, account, repositories, createdAt } = installation
  return {
    id,
    account: userJson(forge, account),
    repository_selection: repositories === 'all' ? 'all' : 'selected',
    access_tokens_url: `${forge.url}/app/installations/${id}/access_tokens`,
    repositories_url: `${forge.url}/installation/repositories`,
    html_url: `${forge.url}/settings/installations/${id}`,
    app_id: app.id,
    app_slug: app.slug,
    target_id: account.id,
    target_type: 'User',
    permissions: app.permissions,
    events: app.events,
    created_at: createdAt,
    updated_at: createdAt,
    single_file_name: null,
    has_multiple_single_files: false,
    single_file_paths: [],
    suspended_by: null,
    suspended_at: null,
  }
}

/** What an issue has more if it is a pull request. */
export function pullOfIssue({ url }: Pick<Forge, 'url'>, pull: PullRow, repo: RepoRow): Json {
  const html = `${url}/${repo.full_name}/pull/${pull.number}`
  return {
    html_url: html,
    draft: pull.draft,
    pull_request: {
      url: `${url}/repos/${repo.full_name}/pulls/${pull.number}`,
      html_url: html,
      diff_url: `${html}.diff`,
      patch_url: `${html}.patch`,
      merged_at: pull.merged_at,
    },
  }
}

/** How close a user is to a repository. */
export function association({ state }: Pick<Forge, 'state'>, user: number, repo: RepoRow): string {
  if (repo.owner_id === user) return 'OWNER'
  return state.collaborators.findBy('repo_id', repo.id).some((row) => row.user_id === user) ? 'COLLABORATOR' : 'NONE'
}

/** An issue; a pull request's issue has `pull_request`. */
export function issueJson(forge: World, issue: IssueRow, repo: RepoRow): Json {
  const { state, url } = forge
  const api = `${url}/repos/${repo.full_name}/issues/${issue.number}`
  const user = (id: number | null) => {
    const row = id === null ? undefined : state.users.get(id)
    return row ? userJson(forge, row) : null
  }
  const assignees = issue.assignee_ids.map(user)
  const pull = issue.is_pull_request
    ? state.pullRequests.findBy('repo_id', repo.id).find((row) => row.number === issue.number)
    : undefined
  return {
    url: api,
    repository_url: `${url}/repos/${repo.full_name}`,
    labels_url: `${api}/labels{/name}`,
    comments_url: `${api}/comments`,
    events_url: `${api}/events`,
    html_url: `${url}/${repo.full_name}/issues/${issue.number}`,
    id: issue.id,
    node_id: issue.node_id,
    number: issue.number,
    title: issue.title,
    user: user(issue.user_id),
    labels: issue.label_ids
      .map((id) => state.labels.get(id))
      .filter((row) => row !== undefined)
      .map((row) => labelJson(forge, row, repo)),
    state: issue.state,
    locked: issue.locked,
    assignee: assignees[0] ?? null,
    assignees,
    milestone: null,
    comments: issue.comments,
    created_at: seconds(issue.created_at),
    updated_at: seconds(issue.updated_at),
    closed_at: issue.closed_at && seconds(issue.closed_at),
    author_association: association(forge, issue.user_id, repo),
    active_lock_reason: issue.active_lock_reason,
    body: issue.body,
    closed_by: user(issue.closed_by_id),
    reactions: reactions(api),
    timeline_url: `${api}/timeline`,
    performed_via_github_app: null,
    state_reason: issue.state_reason,
    draft: false,
    ...(pull ? pullOfIssue(forge, pull, repo) : {}),
  }
}

/** No reactions. */
export const reactions = (url: string): Json => ({
  url: `${url}/reactions`,
  total_count: 0,
  '+1': 0,
  '-1': 0,
  laugh: 0,
  hooray: 0,
  confused: 0,
  heart: 0,
  rocket: 0,
  eyes: 0,
})
