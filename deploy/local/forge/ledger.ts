import { createHash } from 'node:crypto'
import { closeSync, existsSync, openSync, readFileSync, writeSync } from 'node:fs'

import { requestContext } from './context.ts'
import type { Collection, State } from './engine.ts'
import type { Row } from './rows.ts'

/** One effect that really happened. */
export interface LedgerEntry {
  readonly seq: number
  readonly at: string
  readonly kind: string
  readonly [detail: string]: unknown
}

/** The forge's own record of effects: what tests hold our claims against. */
export interface Ledger {
  add(kind: string, details: Readonly<Record<string, unknown>>): void
  read(kind?: string, after?: number): LedgerEntry[]
  close(): void
}

/** A ledger in memory that is also appended to a file, whole before the call returns, so a kill loses nothing. */
export function openLedger(file: string): Ledger {
  const before = existsSync(file) ? readFileSync(file, 'utf8').split('\n').length - 1 : 0
  const fd = openSync(file, 'a')
  const entries: LedgerEntry[] = []
  let closed = false
  return {
    add(kind, details) {
      if (closed) return
      const entry = { seq: before + entries.length + 1, at: new Date().toISOString(), kind, ...details }
      entries.push(entry)
      writeSync(fd, `${JSON.stringify(entry)}\n`)
    },
    read: (kind, after = 0) =>
      entries.filter((entry) => entry.seq > after && (kind === undefined || entry.kind === kind)),
    close() {
      closed = true
      closeSync(fd)
    },
  }
}

interface Observer<T extends Row> {
  inserted?(row: T): void
  updated?(row: T, before: T): void
  deleted?(row: T): void
}

/** Tell an observer of every change of a table, whoever makes it. */
export function observe<T extends Row>(table: Collection<T>, observer: Observer<T>): void {
  const original = {
    insert: table.insert.bind(table),
    update: table.update.bind(table),
    delete: table.delete.bind(table),
  }
  table.insert = (row) => {
    const inserted = original.insert(row)
    observer.inserted?.(inserted)
    return inserted
  }
  table.update = (id, change) => {
    const before = table.get(id)
    const after = original.update(id, change)
    if (before && after) observer.updated?.(after, before)
    return after
  }
  table.delete = (id) => {
    const before = table.get(id)
    const deleted = original.delete(id)
    if (before && deleted) observer.deleted?.(before)
    return deleted
  }
}

/** Record every change of the tables that hold what a control plane may do to a forge. */
export function recordEffects(state: State, ledger: Ledger): void {
  const add = (kind: string, repo: number, details: Readonly<Record<string, unknown>>) =>
    ledger.add(kind, {
      repo: state.repos.get(repo)?.full_name,
      actor: requestContext.getStore()?.actor ?? null,
      ...details,
    })
  const text = (body: string | null) => ({
    bodySha256: createHash('sha256')
      .update(body ?? '')
      .digest('hex'),
    firstLine: (body ?? '').split('\n', 1)[0],
  })

  observe(state.comments, {
    inserted: (row) => add('comment.created', row.repo_id, { id: row.id, number: row.issue_number, ...text(row.body) }),
    updated: (row, before) => {
      if (row.body !== before.body)
        add('comment.edited', row.repo_id, { id: row.id, number: row.issue_number, ...text(row.body) })
    },
    deleted: (row) => add('comment.deleted', row.repo_id, { id: row.id, number: row.issue_number, ...text(row.body) }),
  })
  observe(state.commits, {
    inserted: (row) =>
      add('commit.created', row.repo_id, {
        sha: row.sha,
        tree: row.tree_sha,
        parents: row.parent_shas,
        author: row.author_name,
        ...text(row.message),
      }),
  })
  observe(state.refs, {
    inserted: (row) => add('ref.created', row.repo_id, { ref: row.ref, sha: row.sha }),
    updated: (row, before) => {
      if (row.sha !== before.sha) add('ref.updated', row.repo_id, { ref: row.ref, sha: row.sha, before: before.sha })
    },
    deleted: (row) => add('ref.deleted', row.repo_id, { ref: row.ref, sha: row.sha }),
  })
  observe(state.pullRequests, {
    inserted: (row) =>
      add('pull.created', row.repo_id, {
        id: row.id,
        number: row.number,
        head: row.head_ref,
        base: row.base_ref,
        sha: row.head_sha,
        title: row.title,
        ...text(row.body),
      }),
    updated: (row, before) => {
      const seen = ['title', 'body', 'state', 'head_sha', 'base_ref', 'merged', 'draft'] as const
      const changed = seen.filter((field) => row[field] !== before[field])
      if (changed.length > 0) {
        add('pull.updated', row.repo_id, {
          id: row.id,
          number: row.number,
          changed,
          state: row.state,
          merged: row.merged,
          sha: row.head_sha,
          title: row.title,
          ...text(row.body),
        })
      }
    },
  })
  observe(state.issues, {
    inserted: (row) => {
      if (!row.is_pull_request)
        add('issue.created', row.repo_id, { id: row.id, number: row.number, title: row.title, ...text(row.body) })
    },
  })
  observe(state.issueEvents, {
    inserted: (row) => {
      const kind = {
        labeled: 'label.added',
        unlabeled: 'label.removed',
        closed: 'issue.closed',
        reopened: 'issue.reopened',
      }[row.event]
      if (kind) {
        const name = row.label_name === null ? {} : { label: row.label_name }
        add(kind, row.repo_id, {
          id: row.id,
          number: row.issue_number,
          ...name,
          login: state.users.get(row.actor_id)?.login,
        })
      }
    },
  })
  observe(state.reviews, {
    inserted: (row) =>
      add('review.created', row.repo_id, { id: row.id, number: row.pull_number, state: row.state, ...text(row.body) }),
  })
}
