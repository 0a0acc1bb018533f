// oxlint-disable-next-line no-restricted-imports -- the support of all tests
export { test } from '../../../test/support/database.ts'
