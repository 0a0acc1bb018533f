// Runs a script with the project's own Node, and installs what is missing first.
//
//   node deploy/with-node.mjs SCRIPT [ARGUMENTS]
//
// Plain JavaScript for any Node from 18 on: this is the one file that runs before anything is installed.
import { spawn } from 'node:child_process'
import { createHash } from 'node:crypto'
import {
  accessSync,
  constants,
  existsSync,
  mkdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  utimesSync,
  writeFileSync,
} from 'node:fs'
import { homedir } from 'node:os'
import { delimiter, join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'

const root = fileURLToPath(new URL('..', import.meta.url))
const stamp = join(root, 'node_modules', '.installed')
const lock = join(root, '.local', 'install.lock')
const signals = ['SIGINT', 'SIGTERM', 'SIGHUP']

class Problem extends Error {}

function say(line) {
  process.stderr.write(`${line}\n`)
}

function onPath(command) {
  return (process.env.PATH ?? '').split(delimiter).some((folder) => folder && existsSync(join(folder, command)))
}

/** What an installation depends on. The platform is part of it: a checkout may be seen from a container of another kind. */
function wanted() {
  const digest = createHash('sha256').update(`${process.platform}-${process.arch}\n`)
  return digest.update(readFileSync(join(root, 'package-lock.json'))).digest('hex')
}

function isInstalled() {
  return existsSync(stamp) && readFileSync(stamp, 'utf8').trim() === wanted()
}

/** npm's own lock does not cover two installations in one folder. A lock whose time stands still belongs to a killed process. */
async function withLock(work) {
  mkdirSync(join(root, '.local'), { recursive: true })
  for (let waited = false; ; waited = true) {
    try {
      mkdirSync(lock)
      break
    } catch (error) {
      if (error.code !== 'EEXIST') throw error
    }
    if (!waited) say('another start is installing: waiting for it')
    const age = Date.now() - (statSync(lock, { throwIfNoEntry: false })?.mtimeMs ?? Date.now())
    if (age > 10_000) {
      try {
        renameSync(lock, `${lock}.${process.pid}`)
        rmSync(`${lock}.${process.pid}`, { recursive: true, force: true })
      } catch {
        // Another waiter was quicker.
      }
    }
    await sleep(200 + Math.random() * 200)
  }
  const beat = setInterval(() => utimesSync(lock, new Date(), new Date()), 1_000)
  try {
    return await work()
  } finally {
    clearInterval(beat)
    rmSync(lock, { recursive: true, force: true })
  }
}

/** npm needs a cache that it can write; HOME may be read-only or absent. */
function cacheFolder() {
  const usual = process.env.npm_config_cache ?? join(homedir(), '.npm')
  try {
    mkdirSync(join(usual, '_cacache'), { recursive: true })
    accessSync(join(usual, '_cacache'), constants.W_OK)
    return usual
  } catch {
    return join(root, '.local', 'npm-cache')
  }
}

function reasonFor(output, code) {
  if (/ENOSPC|no space left/i.test(output)) return `the disk is full: the packages need about 700 MB below ${root}`
  if (/ENOTFOUND|EAI_AGAIN|ECONNREFUSED|ECONNRESET|ETIMEDOUT|ENETUNREACH|EHOSTUNREACH|ERR_SOCKET_TIMEOUT/.test(output))
    return 'npm cannot reach its package registry: check the network, the proxy and `npm config get registry`'
  if (/EACCES|EROFS|EPERM/.test(output)) return `npm may not write in ${root}`
  const line = output.split('\n').find((text) => /^npm (error|ERR!) (?!code)\S/.test(text)) ?? `exit code ${code}`
  return `npm install failed: ${line.replace(/^npm (error|ERR!) /, '')}`
}

async function install() {
  if (isInstalled()) return
  const since = Date.now()
  say('installing packages (once, about 450 MB, 10 to 60 s) ...')
  rmSync(stamp, { force: true })
  // Not `npm ci`: it refuses a lockfile without the optional packages of other platforms, which not every registry has.
  // What is in the lockfile is kept and verified either way. And not what the environment may say (NODE_ENV=production):
  // the tests and the tools are needed.
  const flags = ['--no-save', '--ignore-scripts', '--include=dev', '--include=optional', '--loglevel=error']
  const env = { ...process.env, npm_config_cache: cacheFolder() }
  const child = spawn('npm', ['install', ...flags], { cwd: root, env, stdio: ['ignore', 'pipe', 'pipe'] })
  let output = ''
  child.stdout.on('data', (chunk) => (output += chunk))
  child.stderr.on('data', (chunk) => (output += chunk))
  const code = await new Promise((resolve, reject) => {
    child.once('error', reject)
    child.once('close', (status, signal) => resolve(signal ?? status))
  })
  if (code !== 0) throw new Problem(reasonFor(output, code))
  writeFileSync(stamp, `${wanted()}\n`)
  say(`installed in ${Math.round((Date.now() - since) / 1000)} s`)
}

/** The Node from the registry; where there is none for this machine, the one that runs this, if it is new enough. */
function nodePath() {
  const ours = join(root, 'node_modules', `node-${process.platform}-${process.arch}`, 'bin', 'node')
  // The packages are built for glibc, which musl systems such as Alpine do not have.
  const runs = process.platform !== 'linux' || process.report.getReport().header.glibcVersionRuntime !== undefined
  if (runs && existsSync(ours)) return ours
  const [major = 0, minor = 0] = process.versions.node.split('.').map(Number)
  if (major > 24 || (major === 24 && minor >= 12)) return process.execPath
  const here = `${process.platform}-${process.arch}${runs ? '' : ' without glibc'}`
  throw new Problem(`no packaged Node for ${here}: install Node 24.12 or newer (this is ${process.versions.node})`)
}

function run(node, args) {
  const child = spawn(node, args, { stdio: 'inherit' })
  for (const signal of signals) {
    process.on(signal, () => {
      // Ctrl-C in a terminal reaches the child by itself; a second one would look like impatience.
      if (signal !== 'SIGINT' || !process.stdin.isTTY) child.kill(signal)
    })
  }
  child.once('error', (error) => fail(error))
  child.once('exit', (code, signal) => {
    if (signal === null) process.exit(code)
    for (const each of signals) process.removeAllListeners(each)
    process.kill(process.pid, signal)
  })
}

function fail(error) {
  if (error.code === 'ENOSPC') error = new Problem(`the disk is full: ${error.message}`)
  if (error.code === 'EACCES' || error.code === 'EROFS')
    error = new Problem(`${error.message}: this folder must be writable`)
  say(error instanceof Problem ? error.message : error.stack)
  process.exit(1)
}

try {
  if (process.platform === 'win32') throw new Problem('Windows is not supported: use WSL')
  if (!onPath('git')) throw new Problem('git is not on PATH: install git and start again')
  if (!isInstalled()) {
    if (!onPath('npm')) throw new Problem('npm is not on PATH: install npm (it comes with Node) and start again')
    await withLock(install)
  }
  run(nodePath(), process.argv.slice(2))
} catch (error) {
  fail(error)
}
