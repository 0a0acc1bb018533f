import type { ApprovalPolicy } from '#shared/job/bundle.ts'

/** People with write access, one of them, for an hour; not the one who asked, nor the author. */
export const POLICY: ApprovalPolicy = {
  users: [],
  permission: 'write',
  quorum: 1,
  excludeRequester: true,
  excludeAuthor: true,
  label: 'approve:dev',
  expiresAfterSeconds: 3_600,
}
