// The layer check: `npm run layers`. One line for each import that breaks a rule; silence but for a count when
// none does.

import { findViolations, ROOT } from './dependencies.ts'

const violations = await findViolations(ROOT)
for (const { rule, where, why } of violations) console.error(`${where}: ${rule}: ${why}`)
console.log(
  violations.length === 0 ? 'layers: every import obeys the rules' : `layers: ${violations.length} violations`,
)
process.exitCode = violations.length === 0 ? 0 : 1
