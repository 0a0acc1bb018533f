import { randomBytes } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { SELF_TEST } from '../setup/self-test.ts'
import type { Config, SecretRef } from './config.ts'
import { ConfigError } from './config.ts'
import { getAll, type Kubectl, type Resource } from './kubectl.ts'

/** Values of a Secret by key. They go to kubectl's stdin and nowhere else. */
export type Values = Readonly<Record<string, string>>

/** The Secrets of an installation that the installer writes, by name. */
export type Secrets = Readonly<Record<string, Values>>

/** A value that the installer makes once and keeps. */
const fresh = () => randomBytes(32).toString('hex')

/** The Secrets as they have to be, from what is referred to and what is in the cluster already. */
export async function secretsFor(kubectl: Kubectl, config: Config): Promise<Secrets> {
  const names = ['codex-k8s-database', 'codex-k8s-hooks', 'codex-k8s-run-token', 'codex-k8s-postgres']
  const live = new Map(
    (
      await getAll(
        kubectl,
        names.map((name) => secret(name, config.namespace)),
      )
    ).map(({ metadata, data }) => [metadata.name, decoded(data)]),
  )
  const kept = (name: string, key: string) => live.get(name)?.[key]
  const read = (ref: SecretRef, key: string) => resolveRef(kubectl, ref, key, config.namespace)
  const { broker, database, forge, model } = config

  const trialPassword = kept('codex-k8s-postgres', 'password') ?? fresh()
  const ownerUrl =
    database.ownerUrl === undefined
      ? `postgres://postgres:${trialPassword}@postgres.${config.namespace}.svc:5432/codex_k8s`
      : await read(database.ownerUrl, 'database.ownerUrl')
  return {
    ...(database.trial && { 'codex-k8s-postgres': { password: trialPassword } }),
    'codex-k8s-database': {
      ownerUrl,
      url: loginUrl(ownerUrl, 'functions', kept('codex-k8s-database', 'url')),
      auditUrl: loginUrl(ownerUrl, 'audit', kept('codex-k8s-database', 'auditUrl')),
    },
    'codex-k8s-forge':
      forge.app === undefined
        ? { token: forge.token === undefined ? '' : await read(forge.token, 'forge.token') }
        : { 'app-id': forge.app.id, 'private-key.pem': await read(forge.app.privateKey, 'forge.app.privateKey') },
    'codex-k8s-model': model.key === undefined ? {} : { key: await read(model.key, 'model.key') },
    'codex-k8s-run-token': { key: kept('codex-k8s-run-token', 'key') ?? fresh() },
    ...(broker.rabbitmq && {
      'codex-k8s-rabbitmq': {
        uri: broker.rabbitmq.uri,
        port: broker.rabbitmq.port,
        username: await read(broker.rabbitmq.username, 'broker.rabbitmq.username'),
        password: await read(broker.rabbitmq.password, 'broker.rabbitmq.password'),
      },
    }),
    // Only the key of the self-test is ours here; each repository's belongs to who connected it.
    'codex-k8s-hooks': { [SELF_TEST.secretName]: kept('codex-k8s-hooks', SELF_TEST.secretName) ?? fresh() },
  }
}

/**
 * The same database as the functions' own user. A password that is there already stays, so that a second installation
 * changes nothing.
 */
export function loginUrl(ownerUrl: string, login: 'functions' | 'audit', before: string | undefined): string {
  if (!URL.canParse(ownerUrl) || !/^postgres(ql)?:$/.test(new URL(ownerUrl).protocol))
    throw new ConfigError('database.ownerUrl is not a URL of the form postgres://USER:PASSWORD@HOST:PORT/DATABASE')
  const url = new URL(ownerUrl)
  const user = `codex_k8s_${url.pathname
    .slice(1)
    .replaceAll(/[^a-z0-9_]/gi, '_')
    .toLowerCase()}_${login}`.slice(0, 60)
  const known = before !== undefined && URL.canParse(before) ? new URL(before) : undefined
  url.username = user
  url.password = known?.username === user && known.password !== '' ? known.password : fresh()
  return url.href
}

/** The value behind a reference. An error names the reference, never what is there. */
async function resolveRef(kubectl: Kubectl, ref: SecretRef, key: string, namespace: string): Promise<string> {
  const value = await lookUp(kubectl, ref, key, namespace)
  if (value.trim() === '') throw new ConfigError(`${key}: ${describe(ref)} is empty`)
  return value.trim()
}

async function lookUp(kubectl: Kubectl, ref: SecretRef, key: string, namespace: string): Promise<string> {
  if ('env' in ref) {
    const value = process.env[ref.env]
    if (value === undefined) throw new ConfigError(`${key}: the environment variable ${ref.env} is not set`)
    return value
  }
  if ('file' in ref) {
    try {
      return readFileSync(ref.file, 'utf8')
    } catch (error) {
      throw new ConfigError(
        `${key}: ${ref.file} cannot be read (${(error as NodeJS.ErrnoException).code ?? 'unknown'})`,
      )
    }
  }
  const [found] = await getAll(kubectl, [secret(ref.secret.name, ref.secret.namespace ?? namespace)])
  const value = decoded(found?.data)[ref.secret.key]
  if (value === undefined) throw new ConfigError(`${key}: ${describe(ref)} is not there`)
  return value
}

function describe(ref: SecretRef): string {
  if ('env' in ref) return `the environment variable ${ref.env}`
  if ('file' in ref) return ref.file
  return `the key ${ref.secret.key} of Secret ${ref.secret.name}`
}

/** A Secret by name, with values or only to ask for it. */
export function secret(name: string, namespace: string, values?: Values): Resource {
  const data = Object.fromEntries(
    Object.entries(values ?? {}).map(([key, value]) => [key, Buffer.from(value).toString('base64')]),
  )
  return { apiVersion: 'v1', kind: 'Secret', metadata: { name, namespace }, ...(values !== undefined && { data }) }
}

/** The values of a Secret as text. */
export function decoded(data: Resource['data']): Record<string, string> {
  return Object.fromEntries(
    Object.entries(data ?? {}).map(([key, value]) => [key, Buffer.from(value, 'base64').toString()]),
  )
}
