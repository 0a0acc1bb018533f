/** What shows nothing, breaks a line or ends a span. */
const hidden = /[\p{Cc}\p{Cf}\p{Cs}\p{Zl}\p{Zp}`]/gu

/** Text that somebody else may have written, on one line, between backticks: there it mentions, links and embeds nothing. */
export function code(text: string, most: number): string {
  // Nor is it found by a marker: comments are looked up by their text.
  const flat = text.replace(hidden, ' ').replaceAll('<!--', '< !--').trim()
  return flat === '' ? '' : `\`${flat.slice(0, most).toWellFormed()}\``
}
