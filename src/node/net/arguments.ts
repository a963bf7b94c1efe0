// The many ways to say where to connect or listen, made one: [options, callback].

/** `(options[, cb])`, `(path[, cb])`, `(port[, host][, cb])`; what lies between is the caller's. */
export type NormalizedArguments = [options: Record<string, unknown>, callback: ((...args: never[]) => void) | null]

const NORMALIZED = Symbol('normalized arguments')

export function normalizeArguments(args: readonly unknown[]): NormalizedArguments {
  const normalized: NormalizedArguments = [optionsOf(args), callbackOf(args)]
  return Object.defineProperty(normalized, NORMALIZED, { value: true })
}

/** Node hands normalized arguments on to connect(), its own or ours. */
export function asNormalized(args: readonly unknown[]): NormalizedArguments {
  const [first] = args
  const isNormalized =
    Array.isArray(first) && (NORMALIZED in first || (first.length === 2 && typeof first[0] === 'object'))
  return isNormalized ? (first as NormalizedArguments) : normalizeArguments(args)
}

function optionsOf(args: readonly unknown[]): Record<string, unknown> {
  if (args.length === 0) return {}
  const [first, second] = args
  if (typeof first === 'object' && first !== null) return first as Record<string, unknown>
  if (isPath(first)) return { path: first }
  return args.length > 1 && typeof second === 'string' ? { port: first, host: second } : { port: first }
}

function callbackOf(args: readonly unknown[]): ((...args: never[]) => void) | null {
  const last = args.at(-1)
  return typeof last === 'function' ? (last as () => void) : null
}

/** A string that is no number is a path. */
export const isPath = (value: unknown): value is string => typeof value === 'string' && toNumber(value) === false

/** A number that is not negative, or false. */
export function toNumber(value: unknown): number | false {
  const number = Number(value)
  return number >= 0 ? number : false
}
