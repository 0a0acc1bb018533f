/**
 * The hook of self-tests, and the name of its secret. It belongs to no project and to no forge, so nothing it brings
 * starts anything.
 */
export const SELF_TEST = {
  hook: 'selftest',
  secretName: 'self-test',
  instance: 'https://self-test.invalid',
} as const
