// Time is an argument. `now` is taken once per batch by whoever drives the stack, and is frozen while the
// batch runs; nothing below src/node reads a clock of its own.

/** An instant or a length of time in whole microseconds. Instants are monotonic, from an origin of the clock's choice. */
export type Micros = number & { readonly unit: 'micros' }

/** The deadline of a machine with nothing to do. */
export const NEVER: Micros = Number.POSITIVE_INFINITY as Micros
/** The deadline of a machine that owes output now. */
export const IMMEDIATELY: Micros = 0 as Micros

export const micros = (count: number): Micros => Math.round(count) as Micros
export const millis = (count: number): Micros => Math.round(count * 1_000) as Micros
export const seconds = (count: number): Micros => Math.round(count * 1_000_000) as Micros
export const after = (instant: Micros, length: Micros): Micros => (instant + length) as Micros
export const earlier = (a: Micros, b: Micros): Micros => (a < b ? a : b)

/** Tells the time. Frozen for the length of a batch, so that it can be read as often as one likes. */
export interface Clock {
  /** Monotonic: for deadlines and measurements. */
  now(): Micros
  /** Microseconds since 1970, for captures and time stamps that people read. */
  wall(): Micros
}

/** A stateful object driven from outside: it never waits, sleeps or reads a clock. */
export interface Machine {
  /** The earliest instant at which poll() would do something; 0 = now, NEVER = idle. Cheap: called after every input. */
  deadline(): Micros
  /** Do all that is due at `now`: timers first, then owed output. A second call at the same instant does nothing. */
  poll(now: Micros): void
}
