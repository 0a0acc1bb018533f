import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { inject, onTestFinished } from 'vitest'
import { parseDocument } from 'yaml'
import type { Manifest } from '#shared/job/bundle.ts'

/** All functions with a workflow whose stages have other limits. */
export function functionsWithBudget(budget: Partial<Manifest['budget']>): string {
  const functions = inject('functions')
  const folder = mkdtempSync(join(tmpdir(), 'codex-k8s-workflow-'))
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }))
  const workflow = parseDocument(readFileSync(join(dirname(functions), 'default.yaml'), 'utf8'))
  for (const [name, value] of Object.entries(budget)) workflow.setIn(['stages', 0, 'budget', name], value)
  writeFileSync(join(folder, 'default.yaml'), workflow.toString())
  cpSync(functions, join(folder, 'functions.mjs'))
  return join(folder, 'functions.mjs')
}
