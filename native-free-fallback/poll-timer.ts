// Looking again after a while, for descriptors that nothing in plain Node can wait for. A millisecond where there was
// traffic; every look that finds nothing makes the wait longer, so that an idle device costs less than 1% of a core.

const SHORTEST_MILLIS = 1
const LONGEST_MILLIS = 64
/** Looks in vain before the wait doubles. */
const PATIENCE = 4

export class PollTimer {
  private readonly onDue: () => void
  private timer: NodeJS.Timeout | null = null
  private waitMillis = SHORTEST_MILLIS
  private inVain = 0
  private closed = false

  constructor(onDue: () => void) {
    this.onDue = onDue
  }

  /** Calls back once after the wait. A second call before that does nothing. It does not hold the process open. */
  arm(): void {
    if (this.timer !== null || this.closed) return
    if (++this.inVain > PATIENCE && this.waitMillis < LONGEST_MILLIS) {
      this.waitMillis *= 2
      this.inVain = 0
    }
    this.timer = setTimeout(() => {
      this.timer = null
      this.onDue()
    }, this.waitMillis)
    this.timer.unref()
  }

  /** There was something: look again soon. */
  found(): void {
    this.waitMillis = SHORTEST_MILLIS
    this.inVain = 0
  }

  close(): void {
    this.closed = true
    if (this.timer !== null) clearTimeout(this.timer)
    this.timer = null
  }
}
