import digests from '#shared/db/migrations/digests.json' with { type: 'json' }

/** The name of the newest migration that this version knows. */
export const newestMigration = Object.keys(digests).toSorted().at(-1) ?? ''
