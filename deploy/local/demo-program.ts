import { readdirSync, readFileSync, statSync } from 'node:fs'
import { join } from 'node:path'

const folder = join(import.meta.dirname, 'demo')

/** A file of the demonstration's program. */
export interface DemoFile {
  readonly path: string
  readonly isExecutable: boolean
  readonly content: string
}

/** The program with a bug that the scripted model can repair; some of its tests fail. */
export function demoFiles(): DemoFile[] {
  const root = join(folder, 'repository')
  return (readdirSync(root, { recursive: true }) as string[]).flatMap((path) => {
    const stat = statSync(join(root, path))
    if (!stat.isFile()) return []
    return { path, isExecutable: (stat.mode & 0o100) !== 0, content: readFileSync(join(root, path), 'utf8') }
  })
}

/** The issue that describes the bug. */
export function demoIssue(): { readonly title: string; readonly body: string } {
  const [title = '', ...body] = readFileSync(join(folder, 'issue.md'), 'utf8').split('\n')
  return { title, body: body.join('\n').trim() }
}
