// What the bundler puts in the place of shared/crash-point.ts: production bundles hold neither crash points nor their names.

/** Does nothing. */
export function armCrashPoint(): void {}

/** Does nothing. */
export function crashPoint(_name: string, _at?: string): void {}
