// Preloaded into a process: its wall clock is SKEW_MS off, as that of a machine whose time is not kept.
const skew = Number(process.env['SKEW_MS'] ?? 0)
const now = Date.now.bind(Date)
globalThis.Date = class extends Date {
  constructor(...given) {
    if (given.length === 0) super(now() + skew)
    else super(...given)
  }
  static now() {
    return now() + skew
  }
}
