// What programs that no compiler has seen may have misspelt: options that there are not. Worlds and hosts ask here.

import { UsageError } from './errors.ts'

/** Throws UsageError for the first name in `given` that `known` has not; `what` begins the sentence. */
export function checkOptionNames(what: string, given: object, known: object): void {
  for (const name of Object.keys(given)) {
    if (!Object.hasOwn(known, name))
      throw new UsageError(`${what} has no option '${name}': the options are ${Object.keys(known).join(', ')}`)
  }
}
