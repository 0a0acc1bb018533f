import { chmodSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterEach, describe, expect, test } from 'vitest'
// oxlint-disable-next-line no-restricted-imports -- the support of all tests
import { eventually } from '../../test/support/wait.ts'
import type { JobView } from './launcher.ts'
import { bornAt, processLauncher, type ProcessOptions } from './process-launcher.ts'

const supervisor = fileURLToPath(new URL('supervise.ts', import.meta.url))
const token = 'canary-run-token'
const folders: string[] = []

/** A launcher of a shell script, and what can be seen of its Job from outside. */
function launch(script: string, more: Partial<ProcessOptions> & { seconds?: number; name?: string } = {}) {
  const { seconds = 60, name = 'run-a', ...options } = more
  const directory = mkdtempSync(join(tmpdir(), 'launcher-test-'))
  chmodSync(directory, 0o711)
  folders.push(directory)
  const launcher = processLauncher({
    directory,
    supervisor,
    command: ['/bin/sh', '-c', script],
    env: { PATH: '/usr/bin:/bin' },
    ...options,
  })
  const job = {
    name,
    run: 'run 1',
    attempt: 1,
    image: 'ignored',
    seconds,
    tokens: { run: token, model: 'canary-model' },
  }
  const file = (path: string) => join(directory, name, path)
  return {
    launcher,
    job,
    directory,
    file,
    read: (path: string) => (existsSync(file(path)) ? readFileSync(file(path), 'utf8') : ''),
    /** The first line that the agent has written whole. */
    line: async (path: string): Promise<string> => {
      const whole = () => existsSync(file(path)) && /^(.+)\n/.exec(readFileSync(file(path), 'utf8'))?.[1]
      return String(await eventually(whole, { what: path }))
    },
    async ended(): Promise<JobView | undefined> {
      await eventually(async () => (await launcher.get(name))?.state === 'ended', { what: 'the end' })
      return launcher.get(name)
    },
  }
}

const alive = (pid: string | number) => {
  const stat = existsSync(`/proc/${pid}/stat`) ? readFileSync(`/proc/${pid}/stat`, 'utf8') : ''
  // A zombie is dead; who inherited it has not looked yet.
  return stat !== '' && !/\) [ZX] /.test(stat)
}
const gone = (pid: string | number) => eventually(() => !alive(pid), { what: `process ${pid} to be gone` })

afterEach(async () => {
  for (const folder of folders.splice(0)) {
    const pid = existsSync(join(folder, 'run-a/agent.pid'))
      ? readFileSync(join(folder, 'run-a/agent.pid'), 'utf8').split(' ')[0]
      : ''
    if (pid && alive(pid)) process.kill(-Number(pid), 'SIGKILL')
    rmSync(folder, { recursive: true, force: true, maxRetries: 5 })
  }
})

describe('a Job as processes on this machine', () => {
  test('runs in its own folder, with its token in a file and nothing of ours in its environment', async () => {
    const { launcher, job, read, ended, directory } = launch('pwd; env; cat "$RUN_TOKEN_FILE"; echo made > out; exit 3')
    const created = await launcher.create(job)
    expect(created).toMatchObject({ kind: 'created', run: 'run 1' })
    expect(await ended()).toMatchObject({ run: 'run 1', end: 'it ended with status 3' })
    const [cwd, ...rest] = read('output.log').trim().split('\n')
    expect(cwd).toBe(join(directory, 'run-a', 'work'))
    expect(read('work/out')).toBe('made\n')
    const names = rest.filter((line) => line.includes('=')).map((line) => line.slice(0, line.indexOf('=')))
    expect(names.toSorted()).toEqual(['PATH', 'PWD', 'RUN_TOKEN_FILE', 'WORK_DIR'])
    expect(rest.slice(-2)).toEqual([token, 'canary-model'])
    expect(read('job.json')).not.toContain('canary')
  })

  test('created twice, also side by side, is one Job with one uid and one process', async () => {
    const { launcher, job, directory, ended } = launch('echo once >> ../work/out')
    const all = await Promise.all(Array.from({ length: 6 }, () => launcher.create(job)))
    const again = await launcher.create(job)
    expect(all.filter(({ kind }) => kind === 'created')).toHaveLength(1)
    expect(new Set([...all, again].map((one) => (one.kind === 'refused' ? '' : one.uid))).size).toBe(1)
    await ended()
    expect(readFileSync(join(directory, 'ledger.jsonl'), 'utf8').trim().split('\n')).toHaveLength(1)
    expect(await launcher.create(job)).toMatchObject({ kind: 'exists' })
  })

  test('a name that another run has is said to be of that run', async () => {
    const { launcher, job } = launch('exit 0')
    await launcher.create(job)
    expect(await launcher.create({ ...job, run: 'run 2' })).toMatchObject({ kind: 'exists', run: 'run 1' })
  })

  test('C9 a Job whose supervisor was never started is started by the next creation', async () => {
    const own = launch('exit 0')
    const folder = processLauncher({
      directory: own.directory,
      supervisor: '/nowhere.ts',
      command: ['/bin/sh', '-c', 'exit 0'],
      env: {},
    })
    await folder.create(own.job)
    expect(await own.launcher.get('run-a')).toMatchObject({ state: 'waiting' })
    expect(await own.launcher.create(own.job)).toMatchObject({ kind: 'exists' })
    expect(await own.ended()).toMatchObject({ end: 'it ended with status 0' })
  })

  test('J9 the deadline ends the agent and what it started', async () => {
    const { launcher, job, line, ended } = launch('sleep 1000 & echo $! > child; echo $$ > self; wait', { seconds: 1 })
    await launcher.create(job)
    const pids = [await line('work/child'), await line('work/self')]
    expect(await ended()).toMatchObject({ end: 'it took longer than it may' })
    await Promise.all(pids.map(gone))
  })

  test('an agent that ends leaves nothing of its group running', async () => {
    const { launcher, job, line, ended } = launch('sleep 1000 & echo $! > child')
    await launcher.create(job)
    expect((await ended())?.end).toBe('it ended with status 0')
    await gone(await line('work/child'))
  })

  test('stopping ends the agent with what it started; stopping again, or what never was, changes nothing', async () => {
    const { launcher, job, line, ended } = launch('sleep 1000 & echo $! > child; wait')
    await launcher.create(job)
    const child = await line('work/child')
    await launcher.stop('run-a')
    expect(await ended()).toMatchObject({ end: 'it was stopped' })
    await gone(child)
    await launcher.stop('run-a')
    await launcher.stop('run-never')
    expect(await launcher.get('run-never')).toBeUndefined()
  })

  test('a Job that is stopped before it began never begins to work', async () => {
    const own = launch('echo worked > out; sleep 1000')
    await processLauncher({
      directory: own.directory,
      supervisor: '/nowhere.ts',
      command: ['/bin/sh'],
      env: {},
    }).create(own.job)
    await own.launcher.stop('run-a')
    expect(await own.ended()).toMatchObject({ state: 'ended' })
  })

  test('C10 a supervisor that is killed is an end, and stopping then ends the agent that it left', async () => {
    const { launcher, job, line, read, ended } = launch('echo $$ > self; exec sleep 1000')
    await launcher.create(job)
    const agent = await line('work/self')
    await eventually(() => read('agent.pid') !== '', { what: 'agent.pid' })
    process.kill(Number(read('supervisor.pid')), 'SIGKILL')
    expect((await ended())?.end).toBe('whoever watched over the agent was killed')
    expect(alive(agent)).toBe(true)
    await launcher.stop('run-a')
    await gone(agent)
  })

  test('a pid that belongs to somebody else by now is not killed', async () => {
    const { launcher, job, line, file } = launch('echo $$ > self; exec sleep 1000')
    await launcher.create(job)
    const agent = await line('work/self')
    await eventually(() => existsSync(file('agent.pid')), { what: 'agent.pid' })
    process.kill(Number(readFileSync(file('supervisor.pid'), 'utf8')), 'SIGKILL')
    await eventually(async () => (await launcher.get('run-a'))?.state === 'ended', { what: 'the end' })
    const whole = readFileSync(file('agent.pid'), 'utf8')
    writeFileSync(file('agent.pid'), `${agent} 1`)
    await launcher.stop('run-a')
    expect(alive(agent)).toBe(true)
    writeFileSync(file('agent.pid'), whole)
    await launcher.stop('run-a')
    await gone(agent)
  })

  test('an agent that cannot be started is an end with a reason', async () => {
    const { launcher, job, ended, read } = launch('', { command: ['/no/such/program'] })
    await launcher.create(job)
    expect(await ended()).toMatchObject({ end: expect.stringMatching(/status 12[67]/) })
    expect(read('output.log')).toContain('/no/such/program')
  })

  test('a folder that cannot be written is no answer', async () => {
    const { launcher, job, directory } = launch('exit 0')
    mkdirSync(join(directory, 'run-a'))
    writeFileSync(join(directory, 'run-a', 'in the way'), '')
    await expect(launcher.create(job)).rejects.toThrow('could not be written')
  })

  test.runIf(process.getuid?.() === 0)(
    'J1 as nobody it can read its token, write its folder, and nothing else of the Job',
    async () => {
      const script = `
      id -u; id -G
      cat "$RUN_TOKEN_FILE" > out && rm "$RUN_TOKEN_FILE" && echo removed
      for path in ../job.json ../output.log ../supervisor.pid ../agent.pid; do cat $path 2>/dev/null >stolen && [ -s stolen ] && echo "read $path"; done
      for path in ../end.json ../stop ../x ../../x; do echo x 2>/dev/null > $path && echo "wrote $path"; done
      exit 0`
      const { launcher, job, ended, read } = launch(script, { user: { uid: 65_534, gid: 65_534 } })
      await launcher.create(job)
      expect(await ended()).toMatchObject({ end: 'it ended with status 0' })
      const said = read('output.log')
        .split('\n')
        .filter((line) => !line.startsWith('/bin/sh'))
      expect(said).toEqual(['65534', '65534', 'removed', 'read ../supervisor.pid', 'read ../agent.pid', ''])
    },
  )

  test('the time of birth is read behind a name with brackets and blanks', () => {
    const fields = Array.from({ length: 30 }, (_, index) => String(index + 3))
    expect(bornAt(`12 (a) b (c) ${fields.join(' ')}`)).toBe('22')
    expect(bornAt(undefined)).toBeUndefined()
  })
})
