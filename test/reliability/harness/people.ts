import { setTimeout as sleep } from 'node:timers/promises'
import type { HarnessForge } from './forge.ts'
import type { Act, IssueScript } from './history.ts'
import type { Mailbox } from './mailbox.ts'
import type { OpenedIssue } from './reviewers.ts'

/** What a person does while we are at work, milliseconds after the first delivery was sent. */
export type Late = { readonly atMs: number; readonly act: () => Promise<void> }

/** Does what people do before anything is delivered; returns the issues, and what they do later. */
export async function prepare(
  issues: readonly IssueScript[],
  forge: HarnessForge,
  mailbox: Mailbox,
  seconds: number,
): Promise<{ readonly opened: readonly OpenedIssue[]; readonly late: readonly Late[] }> {
  const late: Late[] = []
  const opened: OpenedIssue[] = []
  for (const script of issues) {
    const atMs = script.begins * seconds * 1_000
    mailbox.delay(atMs)
    const repository = forge.repositories[script.repository]?.fullName ?? ''
    const path = `/repos/${repository}/issues`
    const { number } = (await forge.person('maria', 'POST', path, {
      title: 'Say hello',
      body: 'The program should say hello.',
      ...(script.openedWithLabel && { labels: ['run:dev'] }),
    })) as { number: number }
    opened.push({ script, repository, number })
    const act = (what: Act) => perform(forge, script, `${path}/${number}`, what)
    for (const what of script.acts) await act(what)
    while ((await forge.pending()) > 0) await sleep(5)
    let at = atMs
    for (const { act: what, afterMs } of script.late) late.push({ atMs: (at += afterMs), act: () => act(what) })
  }
  mailbox.delay(0)
  return { opened, late }
}

async function perform(forge: HarnessForge, { who }: IssueScript, path: string, act: Act): Promise<void> {
  switch (act) {
    case 'run':
    case 'bug':
      return void (await forge.person(who, 'POST', `${path}/labels`, { labels: [act === 'run' ? 'run:dev' : 'bug'] }))
    case 'unrun':
    case 'unbug': {
      const removing = forge.person(who, 'DELETE', `${path}/labels/${act === 'unrun' ? 'run:dev' : 'bug'}`)
      // We may have taken the label off before the person could.
      return void (await removing.catch((error: Error) => /: 404/.test(error.message) || Promise.reject(error)))
    }
    case 'close':
    case 'reopen':
      return void (await forge.person('maria', 'PATCH', path, { state: act === 'close' ? 'closed' : 'open' }))
  }
}

/** What people do while we are at work. A forge that answers with an error is asked again, as a person would. */
export async function actLate(late: readonly Late[]): Promise<void> {
  const begun = performance.now()
  const inOrder = late.toSorted((one, other) => one.atMs - other.atMs)
  for (const { atMs, act } of inOrder) {
    await sleep(Math.max(0, atMs - (performance.now() - begun)))
    for (let tries = 1; ; tries += 1) {
      const done = await act().then(
        () => true,
        (error: unknown) => tries < 20 || Promise.reject(error as Error),
      )
      if (done === true) break
      await sleep(100)
    }
  }
}
