import type { Row } from '#shared/db/schema.ts'
import type { Finding } from './finding.ts'

/** Text of an agent's as it stands on a forge: it mentions nobody and closes nothing. */
export function quiet(text: string): string {
  return text
    .replace(/@(?=[A-Za-z0-9])/g, '@\u2060')
    .replace(
      /\b(clos(?:e|es|ed)|fix(?:|es|ed)|resolv(?:e|es|ed))(\s*:?\s+)(?=[\w./-]*#\d|https?:|GH-\d)/gi,
      '$1\u2060$2\u2060',
    )
    .replace(/<!--/g, '<\u2060!--')
}

/** The description of the pull request: the agent's words, what they rest on, and the issue that it closes. */
export function pullRequestBody(words: { summary: string; tests: string }, run: Row<'runs'>, parent: string): string {
  return [
    quiet(words.summary),
    `### Tests\n\n${quiet(words.tests)}`,
    `Closes #${run.subject_number}`,
    `<sub>Written by an agent for @${run.requester_login}, against \`${parent.slice(0, 12)}\`. Run \`${run.id}\`, input \`${run.bundle_digest?.slice(0, 12) ?? ''}\`.</sub>`,
  ].join('\n\n')
}

/** The commit message, with the one who asked as co-author: the commit itself is the App's. */
export function commitMessage(words: { title: string; summary: string }, run: Row<'runs'>): string {
  const coAuthor = `Co-authored-by: ${run.requester_login} <${run.requester_id}+${run.requester_login}@users.noreply.github.com>`
  return `${quiet(words.title)}\n\n${quiet(words.summary)}\n\n${coAuthor}\n`
}

/** What is wrong with a change set, for the comment: the first findings and how many more there are. */
export function refusalDetail(findings: readonly Finding[], omitted: number): string {
  const lines = findings.slice(0, 4).map(({ path, detail }) => (path === null ? detail : `\`${path}\`: ${detail}`))
  const more = findings.length - lines.length + omitted
  return [...lines, ...(more > 0 ? [`and ${more} more`] : [])].join('; ')
}

/** Where something that looks like a secret stands, never what it is. */
export function scanDetail(
  findings: readonly { readonly code: string; readonly channel: string }[],
): string | undefined {
  if (findings.length === 0) return undefined
  return findings
    .slice(0, 4)
    .map(({ code, channel }) => `${code} in ${channel}`)
    .join('; ')
}
