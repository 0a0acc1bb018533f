/** What a person says about a stage that waits for an approval. */
export type ApprovalCommand =
  | {
      readonly decision: 'approve'
      /** The first 12 to 64 hex digits of what is approved. */
      readonly digest: string
    }
  | { readonly decision: 'deny'; readonly reason: string }

const approve = /^\/approve ([0-9a-f]{12,64})$/
const deny = /^\/deny ([^\p{Cc}\p{Cs}\p{Zl}\p{Zp}]{1,500})$/u

/**
 * The command that a comment is: the whole of it, from its first character. What is quoted, indented, in a code block or
 * beside other text is no command, because there somebody may only be showing one.
 */
export function readApprovalCommand(comment: string): ApprovalCommand | undefined {
  const text = comment.trimEnd()
  const digest = approve.exec(text)?.[1]
  if (digest !== undefined) return { decision: 'approve', digest }
  const reason = deny.exec(text)?.[1]?.trim()
  return reason ? { decision: 'deny', reason } : undefined
}
