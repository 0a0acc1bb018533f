/** Time since then, as kubectl writes it: `45s`, `12m`, `3h10m`, `2d4h`, `30d`. `<unknown>` for what is no time. */
export function age(then: string | null | undefined, now: number): string {
  const since = Date.parse(then ?? '')
  if (Number.isNaN(since)) return '<unknown>'
  return duration(Math.max(0, now - since))
}

/** Milliseconds as kubectl writes them: two units while the larger one is small. */
export function duration(milliseconds: number): string {
  const seconds = Math.floor(milliseconds / 1_000)
  if (seconds < 120) return `${seconds}s`
  const minutes = Math.floor(seconds / 60)
  if (minutes < 10) return two(minutes, 'm', seconds % 60, 's')
  if (minutes < 180) return `${minutes}m`
  const hours = Math.floor(minutes / 60)
  if (hours < 8) return two(hours, 'h', minutes % 60, 'm')
  if (hours < 48) return `${hours}h`
  const days = Math.floor(hours / 24)
  return days < 8 ? two(days, 'd', hours % 24, 'h') : `${days}d`
}

const two = (large: number, unit: string, small: number, smallUnit: string) =>
  small === 0 ? `${large}${unit}` : `${large}${unit}${small}${smallUnit}`
