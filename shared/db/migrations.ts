import { readdir, readFile } from 'node:fs/promises'

const directory = new URL('./migrations/', import.meta.url)

/** One step of the schema: the name of its file, and the SQL in it. */
export interface Migration {
  readonly name: string
  readonly text: string
}

/** All migrations in their order. In a bundle they are a part of the program, so it needs no files beside it. */
export async function readMigrations(): Promise<readonly Migration[]> {
  const names = (await readdir(directory)).filter((name) => name.endsWith('.sql')).toSorted()
  return Promise.all(names.map(async (name) => ({ name, text: await readFile(new URL(name, directory), 'utf8') })))
}
