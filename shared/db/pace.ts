import { sql } from 'kysely'
import type { Db } from '#shared/db/connect.ts'
import { RATES, SILENCE, type Pace, type Rate, type Rates } from '#shared/pace.ts'

/** The pace of one instance's accounts, the same for all processes: a row for each account, by the database's clock. */
export function sharedPace(db: Db, instance: string, rates: Rates = RATES): Pace {
  const ms = (units: number) => sql`${units}::float8 * interval '1 ms'`
  /** The row is made when it is first asked for. */
  const ask = async (account: string, statement: ReturnType<typeof sql<{ wait: number }>>): Promise<number> => {
    for (;;) {
      const [row] = (await statement.execute(db)).rows
      if (row !== undefined) return row.wait
      await sql`
        insert into forge_pace (instance, account, points_until, minute_until, hour_until, silent_until)
        values (${instance}, ${account}, '-infinity', '-infinity', '-infinity', '-infinity')
        on conflict do nothing`.execute(db)
    }
  }
  return {
    spend(account, { points, content }, longestMs) {
      // A rate of which nothing is spent holds up nobody.
      const until = (column: string, units: number, { everyMs }: Rate) =>
        units === 0
          ? sql.ref(column)
          : sql`greatest(${sql.ref(column)}, silent_until, now()) + ${ms(units * everyMs)} as ${sql.ref(column)}`
      const free = (column: string, units: number, { burst, everyMs }: Rate) =>
        units === 0 ? sql`now()` : sql`${sql.ref(column)} - ${ms(burst * everyMs)}`
      return ask(
        account,
        sql<{ wait: number }>`
          with spent as (
            select instance, account, greatest(silent_until, now()) as silent_until,
              ${until('points_until', points, rates.points)},
              ${until('minute_until', content, rates.minute)},
              ${until('hour_until', content, rates.hour)}
            from forge_pace where instance = ${instance} and account = ${account} for update
          ), granted as (
            select *, extract(epoch from greatest(silent_until,
              ${free('points_until', points, rates.points)},
              ${free('minute_until', content, rates.minute)},
              ${free('hour_until', content, rates.hour)}) - now())::float8 * 1000 as wait
            from spent
          ), kept as (
            update forge_pace as pace set points_until = granted.points_until, minute_until = granted.minute_until,
              hour_until = granted.hour_until
            from granted
            where pace.instance = granted.instance and pace.account = granted.account and wait <= ${longestMs}
          )
          select wait from granted`,
      )
    },

    silence(account, seconds) {
      const strike = sql`case when silent_until > now() then strikes
        when silent_until > now() - interval '1 hour' then least(strikes + 1, 10) else 0 end`
      const asked =
        seconds === undefined
          ? sql`least(${SILENCE.longest}, ${SILENCE.unnamed} * 2 ^ (${strike})) * interval '1 second'`
          : sql`${seconds}::float8 * interval '1 second'`
      return ask(
        account,
        sql<{ wait: number }>`
          update forge_pace
          set strikes = ${seconds === undefined ? strike : sql.ref('strikes')},
            silent_until = greatest(silent_until, now() + ${asked})
          where instance = ${instance} and account = ${account}
          returning extract(epoch from silent_until - now())::float8 as wait`,
      )
    },
  }
}
