/** Attempts of one run before it is given up. */
export const MAX_ATTEMPTS = 2
