// Waiting for the end of a run: an interrupt, a time limit, a failure, whichever comes first. A command makes its Stop
// before it opens a link, so that all of them end the opening too.

import { limitPatience } from './output.ts'

export type StopReason = 'interrupted' | 'ended' | 'failed'

export interface Stop {
  readonly promise: Promise<void>
  /** Aborted when the promise resolves: for what can be broken off. */
  readonly signal: AbortSignal
  /** Null while running. */
  readonly reason: StopReason | null
  now(reason: StopReason): void
  /** Ends as `ended` after so many milliseconds from now; the last call counts. */
  after(millis: number): void
}

/** The longest wait that setTimeout takes. */
export const LONGEST_MILLIS = 0x7fff_ffff
const SIGNALS = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const

/** SIGINT, SIGTERM and SIGHUP end the run in order; a second one ends the process at once. */
export function untilInterrupted(): Stop {
  limitPatience()
  const controller = new AbortController()
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
    for (const name of SIGNALS) process.off(name, interrupted)
    finish()
    controller.abort()
  }
  const interrupted = (): void => now('interrupted')
  for (const name of SIGNALS) process.on(name, interrupted)
  return {
    promise,
    signal: controller.signal,
    get reason() {
      return reason
    },
    now,
    after: (millis) => {
      clearTimeout(timer)
      if (reason === null) timer = setTimeout(() => now('ended'), Math.min(millis, LONGEST_MILLIS))
    },
  }
}
