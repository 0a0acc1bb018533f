/** What every stored row has. */
export interface Row {
  readonly id: number
  readonly created_at: string
  readonly updated_at: string
}

/** A row before it is stored. */
export type New<T extends Row> = Omit<T, keyof Row> & { readonly id?: number }

export interface UserRow extends Row {
  readonly login: string
  readonly node_id: string
  readonly avatar_url: string
  readonly gravatar_id: string
  readonly type: 'User' | 'Bot'
  readonly site_admin: boolean
  readonly name: string | null
  readonly email: string | null
  readonly [optional: string]: unknown
}

export interface RepoRow extends Row {
  readonly name: string
  readonly full_name: string
  readonly owner_id: number
  readonly owner_type: 'User' | 'Organization'
  readonly private: boolean
  readonly default_branch: string
  readonly open_issues_count: number
  readonly pushed_at: string | null
}

export interface CollaboratorRow extends Row {
  readonly repo_id: number
  readonly user_id: number
  readonly permission: Grant
}

/** The names under which the emulator keeps what a collaborator may do. */
export type Grant = 'pull' | 'triage' | 'push' | 'maintain' | 'admin'

export interface LabelRow extends Row {
  readonly node_id: string
  readonly repo_id: number
  readonly name: string
  readonly description: string | null
  readonly color: string
  readonly default: boolean
}

export interface IssueRow extends Row {
  readonly node_id: string
  readonly number: number
  readonly repo_id: number
  readonly title: string
  readonly body: string | null
  readonly state: 'open' | 'closed'
  readonly state_reason: string | null
  readonly locked: boolean
  readonly active_lock_reason: string | null
  readonly user_id: number
  readonly assignee_ids: readonly number[]
  readonly label_ids: readonly number[]
  readonly comments: number
  readonly closed_at: string | null
  readonly closed_by_id: number | null
  readonly is_pull_request: boolean
}

export interface PullRow extends Row {
  readonly number: number
  readonly repo_id: number
  readonly title: string
  readonly body: string | null
  readonly state: 'open' | 'closed'
  readonly user_id: number
  readonly head_ref: string
  readonly head_sha: string
  readonly head_repo_id: number
  readonly base_ref: string
  readonly base_sha: string
  readonly base_repo_id: number
  readonly draft: boolean
  readonly merged: boolean
  readonly merged_at: string | null
  readonly commits: number
  readonly additions: number
  readonly deletions: number
  readonly changed_files: number
}

export interface CommentRow extends Row {
  readonly repo_id: number
  readonly issue_number: number | null
  readonly body: string
  readonly user_id: number
  readonly comment_type: 'issue' | 'review' | 'commit'
  readonly pull_number?: number | null
  readonly review_id?: number | null
  /** Of a comment of a review: line of the new file. */
  readonly line?: number | null
}

export interface ReviewRow extends Row {
  readonly repo_id: number
  readonly pull_number: number
  readonly user_id: number
  readonly body: string | null
  readonly state: string
}

export interface IssueEventRow extends Row {
  readonly node_id: string
  readonly repo_id: number
  readonly issue_number: number
  readonly event: string
  readonly actor_id: number
  readonly commit_id: string | null
  readonly commit_url: string | null
  readonly label_name: string | null
  readonly assignee_id: number | null
  readonly milestone_title: string | null
  readonly rename: { readonly from: string; readonly to: string } | null
}

export interface RefRow extends Row {
  readonly repo_id: number
  readonly ref: string
  readonly sha: string
  readonly node_id: string
}

export interface BranchRow extends Row {
  readonly repo_id: number
  readonly name: string
  readonly sha: string
  readonly protected: boolean
}

/** The content of a commit object. */
export interface CommitData {
  readonly message: string
  readonly author_name: string
  readonly author_email: string
  readonly author_date: string
  readonly committer_name: string
  readonly committer_email: string
  readonly committer_date: string
  readonly tree_sha: string
  readonly parent_shas: readonly string[]
}

export interface CommitRow extends Row, CommitData {
  readonly repo_id: number
  readonly sha: string
  readonly node_id: string
  readonly user_id: number | null
}

export interface TreeEntry {
  readonly path: string
  readonly mode: string
  readonly type: 'blob' | 'tree' | 'commit'
  readonly sha: string
  readonly size?: number | undefined
}

export interface TreeRow extends Row {
  readonly repo_id: number
  readonly sha: string
  readonly node_id: string
  readonly tree: readonly TreeEntry[]
  readonly truncated: boolean
}

export interface BlobRow extends Row {
  readonly repo_id: number
  readonly sha: string
  readonly node_id: string
  readonly content: string
  readonly encoding: 'utf-8' | 'base64'
  readonly size: number
}

export interface TagRow extends Row {
  readonly repo_id: number
  readonly sha: string
  readonly tag: string
  readonly message: string
  readonly tagger_name: string
  readonly tagger_email: string
  readonly tagger_date: string
  readonly object_type: string
  readonly object_sha: string
}

/** What the emulator has to know of an App to act as its bot. */
export interface AppRow extends Row {
  readonly app_id: number
  readonly slug: string
  readonly name: string
}
