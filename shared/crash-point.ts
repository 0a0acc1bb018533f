let armed: string | undefined

/** Makes the process kill itself, as the kernel would, the first time it reaches the named point. Tests only. */
export function armCrashPoint(name: string | undefined): void {
  armed = name
}

/**
 * An arrow of the delivery protocol at which a test may kill the process; `at` tells apart who passes it. The bundler replaces this module by one that
 * does nothing, so a production bundle holds neither the function nor the names.
 */
export function crashPoint(name: string, at?: string): void {
  if (armed !== undefined && (armed === name || armed === `${name} ${at}`)) process.kill(process.pid, 'SIGKILL')
}
