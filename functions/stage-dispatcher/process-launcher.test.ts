import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { chmodSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterEach, describe, expect, onTestFinished, test } from 'vitest'
// oxlint-disable-next-line no-restricted-imports -- the support of all tests
import { eventually } from '../../test/support/wait.ts'
import type { JobView } from './launcher.ts'
import { bornAt, processLauncher, type ProcessOptions } from './process-launcher.ts'

const supervisor = fileURLToPath(new URL('supervise.ts', import.meta.url))
const token = 'canary-run-token'
const folders: string[] = []

/** A launcher of a shell script, and what can be seen of its Job from outside. */
function launch(
  script: string,
  more: Partial<ProcessOptions> & { seconds?: number; silentSeconds?: number; name?: string } = {},
) {
  const { seconds = 60, silentSeconds = 60, name = 'run-a', ...options } = more
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
    namespace: null,
    run: 'run 1',
    attempt: 1,
    image: 'ignored',
    seconds,
    silentSeconds,
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
      await eventually(async () => (await launcher.get(job))?.state === 'ended', { what: 'the end' })
      return launcher.get(job)
    },
  }
}

const alive = (pid: string | number) => {
  const stat = existsSync(`/proc/${pid}/stat`) ? readFileSync(`/proc/${pid}/stat`, 'utf8') : ''
  // A zombie is dead; who inherited it has not looked yet.
  return stat !== '' && !/\) [ZX] /.test(stat)
}
const gone = (pid: string | number) => eventually(() => !alive(pid), { what: `process ${pid} to be gone` })

/** A process that has nothing to do with a Job, perhaps a person's shell in its folder. A group of its own, as a shell has. */
function bystander(cwd = '/'): ChildProcess {
  const child = spawn('sleep', ['1000'], { cwd, env: { PATH: '/usr/bin:/bin', PWD: cwd }, detached: true })
  onTestFinished(() => void child.kill('SIGKILL'))
  return child
}

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
    expect(names.toSorted()).toEqual(['HEARTBEAT_FILE', 'PATH', 'PWD', 'RUN_TOKEN_FILE', 'WORK_DIR'])
    expect(rest.slice(-2)).toEqual([token, 'canary-model'])
    expect(read('job.json')).not.toContain('canary')
  })

  test('created twice, also side by side, is one Job with one uid and one process', async () => {
    const { launcher, job, directory, ended } = launch('echo once >> ../work/out')
    const all = await Promise.all(Array.from({ length: 6 }, () => launcher.create(job)))
    const again = await launcher.create(job)
    expect(all.filter(({ kind }) => kind === 'created')).toHaveLength(1)
    expect(new Set([...all, again].map((one) => ('uid' in one ? one.uid : ''))).size).toBe(1)
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
    expect(await own.launcher.get(own.job)).toMatchObject({ state: 'waiting' })
    expect(await own.launcher.create(own.job)).toMatchObject({ kind: 'exists' })
    expect(await own.ended()).toMatchObject({ end: 'it ended with status 0' })
  })

  test('J9 the deadline ends the agent and what it started', async () => {
    const { launcher, job, line, ended } = launch('sleep 1000 & echo $! > child; echo $$ > self; wait', { seconds: 1 })
    await launcher.create(job)
    const pids = [await line('work/child'), await line('work/self')]
    expect(await ended()).toMatchObject({ end: 'it took longer than it may', cause: 'deadline' })
    await Promise.all(pids.map(gone))
  })

  test('an agent that ends leaves nothing of its group running', async () => {
    const { launcher, job, line, ended } = launch('sleep 1000 & echo $! > child')
    await launcher.create(job)
    expect((await ended())?.end).toBe('it ended with status 0')
    await gone(await line('work/child'))
  })

  test('what it daemonised, out of its group and its session, ends with it', async () => {
    const script = 'setsid sh -c "setsid sleep 1000 & echo \\$! > child" & while [ ! -s child ]; do sleep 0.02; done'
    const { launcher, job, line, ended } = launch(script)
    await launcher.create(job)
    expect(await ended()).toMatchObject({ end: 'it ended with status 0' })
    await gone(await line('work/child'))
  })

  test('C10 an agent that is killed leaves nothing behind, also not a CLI in a group and with an environment of its own', async () => {
    const script =
      'HOME="$WORK_DIR/home"; env -i HOME="$HOME" setsid sleep 1000 & echo $! > child; echo $$ > self; wait'
    const { launcher, job, line, ended } = launch(script)
    await launcher.create(job)
    const [child, agent] = [await line('work/child'), await line('work/self')]
    process.kill(Number(agent), 'SIGKILL')
    expect(await ended()).toMatchObject({ end: 'it was killed by SIGKILL' })
    await gone(child)
  })

  test.runIf(process.getuid?.() === 0)(
    'an agent with a user of its own does not get away with an empty environment either',
    async () => {
      const script = 'env -i setsid sleep 1000 & echo $! > child; sleep 0.2'
      const { launcher, job, line, ended } = launch(script, { user: { uid: 65_534, gid: 65_534 } })
      await launcher.create(job)
      expect(await ended()).toMatchObject({ end: 'it ended with status 0' })
      await gone(await line('work/child'))
    },
  )

  test('a shell that somebody opened in the folder of a Job lives on', async () => {
    const { launcher, job, file, ended } = launch('exec sleep 1000')
    await launcher.create(job)
    const visitor = bystander(file('work'))
    await launcher.stop(job)
    await ended()
    expect(alive(visitor.pid ?? 0)).toBe(true)
  })

  test('J9 an agent that gives no sign of life for too long is ended, one that does is not', async () => {
    const stuck = launch('echo $$ > self; kill -STOP $$; sleep 1000', { silentSeconds: 1 })
    const lively = launch('for i in 1 2 3 4 5 6 7 8; do touch "$HEARTBEAT_FILE"; sleep 0.25; done', {
      silentSeconds: 1,
    })
    await Promise.all([stuck, lively].map(({ launcher, job }) => launcher.create(job)))
    const agent = await stuck.line('work/self')
    expect(await stuck.ended()).toMatchObject({ end: 'it gave no sign of life for 1 seconds', cause: 'silence' })
    await gone(agent)
    expect(await lively.ended()).toMatchObject({ end: 'it ended with status 0' })
  })

  test('whoever watches over it knocks once it has ended, and again when nobody answers', async () => {
    const knocks: string[] = []
    const door = createServer((request, response) => {
      knocks.push(`${request.method} ${request.url}`)
      response.writeHead(knocks.length === 1 ? 503 : 202).end()
    }).listen(0, '127.0.0.1')
    onTestFinished(() => void door.close())
    await once(door, 'listening')
    const { launcher, job, read } = launch('exit 1', {
      knockUrl: `http://127.0.0.1:${(door.address() as AddressInfo).port}`,
    })
    await launcher.create(job)
    await eventually(() => knocks.length === 2, { what: 'the second knock' })
    expect(new Set(knocks)).toEqual(new Set(['POST /jobs/run-a/ended']))
    expect(read('end.json')).toContain('it ended with status 1')
  })

  test('stopping ends the agent with what it started; stopping again, or what never was, changes nothing', async () => {
    const { launcher, job, line, ended } = launch('sleep 1000 & echo $! > child; wait')
    await launcher.create(job)
    const child = await line('work/child')
    await launcher.stop(job)
    expect(await ended()).toMatchObject({ end: 'it was stopped' })
    await gone(child)
    await launcher.stop(job)
    await launcher.stop({ ...job, name: 'run-never' })
    expect(await launcher.get({ ...job, name: 'run-never' })).toBeUndefined()
  })

  test('a Job that is stopped before it began never begins to work', async () => {
    const own = launch('echo worked > out; sleep 1000')
    await processLauncher({
      directory: own.directory,
      supervisor: '/nowhere.ts',
      command: ['/bin/sh'],
      env: {},
    }).create(own.job)
    await own.launcher.stop(own.job)
    expect(await own.ended()).toMatchObject({ state: 'ended' })
  })

  test('C10 a supervisor that is killed is an end, and stopping then ends the agent that it left', async () => {
    const { launcher, job, line, read, ended } = launch(
      'setsid sleep 1000 & echo $! > child; echo $$ > self; exec sleep 1000',
    )
    await launcher.create(job)
    const agent = await line('work/self')
    await eventually(() => read('agent.pid') !== '', { what: 'agent.pid' })
    process.kill(Number(read('supervisor.pid')), 'SIGKILL')
    expect((await ended())?.end).toBe('whoever watched over the agent was killed')
    expect(alive(agent)).toBe(true)
    await launcher.stop(job)
    await gone(agent)
    await gone(await line('work/child'))
  })

  test('a pid that belongs to somebody else by now is not killed', async () => {
    const { launcher, job, line, file } = launch('echo $$ > self; exec sleep 1000')
    await launcher.create(job)
    const agent = await line('work/self')
    await eventually(() => existsSync(file('agent.pid')), { what: 'agent.pid' })
    process.kill(Number(readFileSync(file('supervisor.pid'), 'utf8')), 'SIGKILL')
    await eventually(async () => (await launcher.get(job))?.state === 'ended', { what: 'the end' })
    const other = bystander()
    writeFileSync(file('agent.pid'), `${other.pid} 1`)
    await launcher.stop(job)
    expect(alive(other.pid ?? 0)).toBe(true)
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
