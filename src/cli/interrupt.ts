// Waiting for the end of a run: an interrupt, a time limit, a failure, whichever comes first.

export type StopReason = 'interrupted' | 'ended' | 'failed'

export interface Stop {
  readonly promise: Promise<void>
  /** Null while running. */
  readonly reason: StopReason | null
  now(reason: StopReason): void
  /** Ends as `ended` after so many milliseconds. */
  after(millis: number): void
}

/** The longest wait that setTimeout takes. */
const LONGEST_MILLIS = 0x7fff_ffff

/** SIGINT and SIGTERM end the run in order; a second one ends the process at once. */
export function untilInterrupted(): Stop {
  let finish: () => void = () => {}
  let timer: NodeJS.Timeout | undefined
  let reason: StopReason | null = null
  const promise = new Promise<void>((resolve) => {
    finish = resolve
  })
  const now = (why: StopReason): void => {
    if (reason !== null) return
    reason = why
    clearTimeout(timer)
    process.off('SIGINT', interrupted)
    process.off('SIGTERM', interrupted)
    finish()
  }
  const interrupted = (): void => now('interrupted')
  process.on('SIGINT', interrupted)
  process.on('SIGTERM', interrupted)
  return {
    promise,
    get reason() {
      return reason
    },
    now,
    after: (millis) => {
      timer = setTimeout(() => now('ended'), Math.min(millis, LONGEST_MILLIS))
    },
  }
}
