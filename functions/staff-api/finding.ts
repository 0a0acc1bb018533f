/** What one check found, in one line, and what to do about it. */
export interface Finding {
  readonly status: 'ok' | 'warning' | 'failed' | 'unknown'
  readonly says: string
  readonly next: string | null
}

export const ok = (says: string): Finding => ({ status: 'ok', says, next: null })
export const warning = (says: string, next: string): Finding => ({ status: 'warning', says, next })
export const failed = (says: string, next: string): Finding => ({ status: 'failed', says, next })
