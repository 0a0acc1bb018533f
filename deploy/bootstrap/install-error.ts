/** Something is not as it has to be; `mend` says what to do. */
export class InstallError extends Error {
  override readonly name = 'InstallError'
  readonly mend: string

  constructor(message: string, mend: string) {
    super(message)
    this.mend = mend
  }
}
