import pg from 'pg'

/** The same server, another database. */
export function databaseUrl(server: string, name: string): string {
  const url = new URL(server)
  url.pathname = `/${name}`
  return url.href
}

/** Runs one statement that needs no database of its own. */
export async function administer(server: string, statement: string): Promise<void> {
  const client = new pg.Client({ connectionString: server, application_name: 'test-admin' })
  await client.connect()
  try {
    await client.query(statement)
  } finally {
    await client.end()
  }
}
