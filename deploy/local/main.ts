import { startTracing } from '#shared/telemetry/trace.ts'
import { eventuallyOver } from './follow.ts'
import { askForApproval } from './approve.ts'
import { asPerson, createDemo } from './demo.ts'
import { readOptions, usage, type Options } from './options.ts'
import { changeOf, report, tryNext } from './report.ts'
import { REMARK, reportRevision, requestChanges } from './review.ts'
import { PERSON, startStack, type Stack } from './stack.ts'
import { tellStory } from './story.ts'

const print = (line: string) => console.log(line)
const wrong = (error: unknown) =>
  `codex-k8s: ${(error instanceof Error ? error.message : String(error)).split('\n', 1)[0]}`

let options: Options | undefined
try {
  options = readOptions(process.argv.slice(2), process.env)
} catch (error) {
  console.error(`${wrong(error)}\n\n${usage}`)
  process.exit(2)
}
if (options === undefined) {
  print(usage)
  process.exit(0)
}

let stack: Stack | undefined
let stopping = false
const stop = async (status: number, reason?: unknown) => {
  if (stopping) return
  stopping = true
  await stack?.close()
  // Last, so that nothing is printed after it.
  if (reason !== undefined) console.error(wrong(reason))
  process.exit(status)
}
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
  process.on(signal, () => {
    if (!stopping) print('\nstopping')
    void stop(signal === 'SIGINT' || signal === 'SIGHUP' ? 0 : 143)
  })
}

try {
  const story = tellStory(print, options.verbose)
  print(
    options.model === undefined
      ? 'No OPENAI_API_KEY is set: a scripted model plays the engineer. Everything else is real.'
      : `Model: ${options.model.url}`,
  )
  const { OTEL_EXPORTER_OTLP_ENDPOINT } = process.env
  if (!options.processes) await startTracing('codex-k8s', { OTEL_EXPORTER_OTLP_ENDPOINT })
  stack = await startStack(options, story.say, story.logTo)
  const running = stack
  void stack.broken.then((reason) => stop(1, reason))
  const demo = await createDemo(stack)
  story.say(`${demo.repository} is there, with issue #${demo.issue}: ${demo.title}`)
  story.begin()
  await asPerson(stack.forgeUrl, 'POST', `/repos/${demo.repository}/issues/${demo.issue}/labels`, {
    labels: ['run:dev'],
  })
  story.say(`label run:dev set on issue #${demo.issue}`)
  if (options.gate) await askForApproval(stack, demo, options.once, story.say)
  const run = await eventuallyOver(stack.db, demo)
  const failure = ({ state, reason, detail }: typeof run) =>
    `the run ${state}: ${reason}${detail === null ? '' : ` (${detail})`}`
  if (run.state !== 'succeeded') {
    if (options.once) throw new Error(failure(run))
    print(failure(run))
  } else {
    story.say('the pull request is open')
    await report(running, demo, run, print)
    if (options.revise) {
      const change = await changeOf(stack.db, run)
      const pull = change.pull_number ?? 0
      print(`\n${PERSON.login} reviews pull request #${pull}: "${REMARK}"\n`)
      await requestChanges(stack, demo, pull)
      if (options.gate) await askForApproval(stack, demo, options.once, story.say)
      const second = await eventuallyOver(stack.db, demo, run)
      if (second.state !== 'succeeded') throw new Error(failure(second))
      story.say(`pull request #${pull} is revised`)
      await report(running, demo, second, print)
      await reportRevision(running, demo, [run, second], change, print)
    }
  }
  if (options.once) await stop(0)
  else await tryNext(running, demo, run, print)
} catch (error) {
  await stop(1, error)
}
