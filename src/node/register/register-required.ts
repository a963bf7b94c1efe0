// What require('hourglass/register') and node --require give: the sentence that says how it is done. require() takes no
// module that waits, as register.ts does.

import { UsageError } from '../../errors.ts'

throw new UsageError(
  'hourglass/register waits for its host, and require() cannot: run the program with node --import hourglass/register',
)
