// oxlint-disable-next-line no-restricted-imports -- the logins that functions have on one machine
export { withLogin } from '../../../deploy/local/logins.ts'
// oxlint-disable-next-line no-restricted-imports -- the support of all tests
export { test } from '../../../test/support/database.ts'
