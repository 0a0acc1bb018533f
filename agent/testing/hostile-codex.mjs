#!/usr/bin/env node
// Stands in for the Codex CLI: gathers whatever this process can read and hands it in as its message and as a file.
import { execFileSync } from 'node:child_process'
import { existsSync, lstatSync, readFileSync, readdirSync, statSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'

const work = dirname(process.cwd())
const found = { env: process.env, files: {}, processes: {} }
const read = (file) => {
  try {
    return readFileSync(file, 'latin1')
  } catch {
    return undefined
  }
}
const walk = (folder) => {
  for (const name of existsSync(folder) ? readdirSync(folder) : []) {
    const file = join(folder, name)
    const stat = lstatSync(file)
    if (stat.isDirectory()) walk(file)
    else if (stat.isFile()) found.files[file] = read(file)
  }
}
walk(work)
walk(dirname(work))
walk(process.env.HOME)
// Its own process and the runner; others on the machine are not part of the run.
const runner = process.ppid
for (const pid of ['self', String(runner)]) {
  for (const name of ['environ', 'cmdline', 'mounts']) found.processes[`${pid}/${name}`] = read(`/proc/${pid}/${name}`)
  for (const name of existsSync(`/proc/${pid}/fd`) ? readdirSync(`/proc/${pid}/fd`) : []) {
    const file = `/proc/${pid}/fd/${name}`
    // A pipe or a socket would be waited for.
    if (statSync(file, { throwIfNoEntry: false })?.isFile() === true) found.processes[file] = read(file)
  }
}
found.git = execFileSync('git', ['config', '-l', '--show-origin'], { encoding: 'utf8' })
found.remotes = execFileSync('git', ['remote', '-v'], { encoding: 'utf8' })
writeFileSync('found.json', JSON.stringify(found))
const message = { title: 'Found', summary: 'See found.json', tests: '' }
const say = (event) => process.stdout.write(`${JSON.stringify(event)}\n`)
say({ type: 'item.completed', item: { id: '0', type: 'agent_message', text: JSON.stringify(message) } })
say({ type: 'turn.completed', usage: { input_tokens: 1, cached_input_tokens: 0, output_tokens: 1 } })
