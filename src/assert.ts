// Assertions are for what only a bug of ours can break. Bad bytes are a returned Drop (counters.ts), a
// user's mistake is an error with a code (errors.ts).

export class AssertionError extends Error {
  override readonly name = 'AssertionError'
}

/** Throws AssertionError unless `condition` holds. Never call it on what comes from a peer or a user. */
export function assert(condition: boolean, message = 'assertion failed'): asserts condition {
  if (!condition) throw new AssertionError(message)
}

/** The end of an exhaustive switch: the compiler proves that no value gets here. */
export function unreachable(value: never): never {
  throw new AssertionError(`unreachable: ${String(value)}`)
}
