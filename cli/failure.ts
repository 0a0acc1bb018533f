/** Something that cannot be done, said to a person: what it is, and below it what to do next. Ends with exit code 1. */
export class Failure extends Error {
  readonly next: string | undefined

  constructor(message: string, next?: string, options?: ErrorOptions) {
    super(message, options)
    this.next = next
  }
}

/** A command line that means nothing: the words of the command whose help says what would. */
export class UsageError extends Error {
  readonly command: string

  constructor(message: string, command: string) {
    super(message)
    this.command = command
  }
}
