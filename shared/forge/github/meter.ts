import { RATES, SILENCE, type Pace, type Rate, type Rates } from '#shared/pace.ts'

interface Account {
  points: number
  minute: number
  hour: number
  silent: number
  strikes: number
}

/** A pace that one process keeps for itself: for commands and tests, which share no database. */
export function localPace(rates: Rates = RATES, now: () => number = Date.now): Pace {
  const accounts = new Map<string, Account>()
  const of = (id: string) => {
    const known = accounts.get(id)
    if (known) return known
    const account = { points: -Infinity, minute: -Infinity, hour: -Infinity, silent: -Infinity, strikes: 0 }
    accounts.set(id, account)
    return account
  }
  return {
    spend(id, { points, content }, longestMs) {
      const account = of(id)
      const at = now()
      const silent = Math.max(account.silent, at)
      // A rate of which nothing is spent holds up nobody.
      const costs: [keyof Rates, number, Rate][] = [
        ['points', points, rates.points],
        ['minute', content, rates.minute],
        ['hour', content, rates.hour],
      ]
      const spent = costs
        .filter(([, units]) => units > 0)
        .map(([name, units, { burst, everyMs }]) => {
          const until = Math.max(account[name], silent) + units * everyMs
          return { name, until, free: until - burst * everyMs }
        })
      const wait = Math.max(silent, ...spent.map(({ free }) => free)) - at
      if (wait <= longestMs) for (const { name, until } of spent) account[name] = until
      return Promise.resolve(wait)
    },
    silence(id, seconds) {
      const account = of(id)
      const at = now()
      if (seconds === undefined && account.silent <= at)
        account.strikes = account.silent > at - 3_600_000 ? Math.min(account.strikes + 1, 10) : 0
      const asked = seconds ?? Math.min(SILENCE.longest, SILENCE.unnamed * 2 ** account.strikes)
      account.silent = Math.max(account.silent, at + asked * 1_000)
      return Promise.resolve((account.silent - at) / 1_000)
    },
  }
}
