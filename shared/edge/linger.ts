import type { Duplex } from 'node:stream'

/** For how long a sender that was still sending may read its answer, milliseconds. */
const LINGER_MS = 500

/**
 * Ends a connection of which not everything was read, or ever will be. To close it at once is a reset, and that takes the
 * answer along: so only our side is closed now, and the rest when the time is up.
 */
export function linger(socket: Duplex): void {
  socket.pause()
  socket.end()
  const cut = setTimeout(() => socket.destroy(), LINGER_MS)
  socket.once('close', () => clearTimeout(cut))
}
