import { createHash } from 'node:crypto'
import { crashPointsIn } from '../../deploy/bundle-limits.ts'
import { isTest, under, type Files } from './repository.ts'

/** Configuration enters through `main.ts`; everything below is told what it needs. */
export function environment(files: Files): string[] {
  const allowed = /(^|\/)main\.ts$|^deploy\/|^shared\/env\.ts$|^[^/]+\.ts$/
  return under(files, '')
    .filter(([path, text]) => !allowed.test(path) && !isTest(path) && /\bprocess\s*\.\s*env\b|\bprocess\[/.test(text))
    .map(([path]) => `${path}: reads process.env`)
}

/** Every crash point is named by a literal, and a test under `test/` kills a process there. */
export function crashPointTests(files: Files): string[] {
  const tests = under(files, 'test/', '.test.ts').map(([, text]) => text)
  return [...under(files, 'functions/'), ...under(files, 'shared/')].flatMap(([path, text]) => {
    if (isTest(path) || path === 'shared/crash-point.ts') return []
    const names = crashPointsIn(text)
    const calls = text.match(/\bcrashPoint\(/g)?.length ?? 0
    return [
      ...(calls > names.length ? [`${path}: a crash point without a literal name`] : []),
      ...names
        .filter((name) => !tests.some((test) => test.includes(name)))
        .map((name) => `${path}: no test kills a process at ${name}`),
    ]
  })
}

/** A test that is left out, left alone or fed from a mock says nothing. */
export function honestTests(files: Files): string[] {
  return under(files, '', '.test.ts').flatMap(([path, text]) =>
    [...text.matchAll(/\bvi\.(?:do)?mock\b|\.(?:only|skip|todo)\(/gi)].map(([found]) => `${path}: ${found}`),
  )
}

/** History is not edited: every migration has its digest and a number of its own. */
export function migrations(files: Files): string[] {
  const folder = 'shared/db/migrations/'
  const found = under(files, folder, '.sql').map(([path, text]) => [path.slice(folder.length), text] as const)
  const digests = JSON.parse(files.get(`${folder}digests.json`) ?? '{}') as Record<string, string>
  const names = found.map(([name]) => name)
  return [
    ...found.flatMap(([name, text]) => {
      const digest = createHash('sha256').update(text).digest('hex')
      const sameNumber = names.filter((other) => other.slice(0, 6) === name.slice(0, 6))
      return [
        ...(/^\d{6}_[a-z0-9_]+\.sql$/.test(name) ? [] : [`${name}: is no number of six digits and a name`]),
        ...(sameNumber.length === 1 ? [] : [`${name}: another migration has its number`]),
        ...(digests[name] === digest ? [] : [`${name}: its SHA-256 is ${digest}, digests.json says ${digests[name]}`]),
      ]
    }),
    ...Object.keys(digests)
      .filter((name) => !names.includes(name))
      .map((name) => `${name}: was released and is gone`),
  ]
}

/** The lockfile works with every registry: it names none. */
export function registries(files: Files): string[] {
  const lock = files.get('package-lock.json') ?? '{}'
  const { packages = {} } = JSON.parse(lock) as { packages?: Record<string, Record<string, unknown>> }
  const resolved = Object.entries(packages).flatMap(([path, entry]) => {
    const text = JSON.stringify({ ...entry, funding: undefined })
    return 'resolved' in entry || text.includes('://') ? [`package-lock.json: ${path} says where it comes from`] : []
  })
  const npmrc = (files.get('.npmrc') ?? '').split('\n').filter((line) => /:\/\/|^\s*(@[^:]+:)?registry\s*=/.test(line))
  return [...resolved, ...npmrc.map((line) => `.npmrc: ${line}`)]
}
