import { readFile } from 'node:fs/promises'
import { parseWorkflow, type Workflow } from '#shared/workflow/workflow.ts'

/** The workflow that ships with the product, checked. A bundle holds the outcome and neither the file nor a YAML parser. */
export async function defaultWorkflow(): Promise<Workflow> {
  return parseWorkflow(await readFile(new URL('default.yaml', import.meta.url), 'utf8'), 'default.yaml')
}
