// Which address conflicts `hourglass up` tells. Anybody on the link can forge one in each frame, with a MAC address of
// its own in each: what is told, and what is remembered, has a limit.

/** Each conflict is told at most so often. */
const AGAIN_MILLIS = 10_000
/** Different ones told in that time. */
const MOST = 8

interface Told {
  at: number
  since: number
}

export class ConflictReport {
  private readonly told = new Map<string, Told>()
  /** Those that are not told, beyond MOST. */
  private others = 0

  /** What to tell of the conflict that `text` describes; null: nothing now. */
  hear(text: string, millis: number): string | null {
    const before = this.told.get(text)
    if (before !== undefined && millis - before.at < AGAIN_MILLIS) {
      before.since++
      return null
    }
    if (before === undefined) this.forget(millis)
    if (before === undefined && this.told.size >= MOST) {
      this.others++
      return null
    }
    this.told.set(text, { at: millis, since: 0 })
    const again = before === undefined || before.since === 0 ? '' : ` (${before.since} more since this was told last)`
    const others = this.others === 0 ? '' : ` (${this.others} other conflicts were not told)`
    this.others = 0
    return `${text}${again}${others}`
  }

  private forget(millis: number): void {
    for (const [text, { at, since }] of this.told) {
      if (millis - at < AGAIN_MILLIS) continue
      this.others += since
      this.told.delete(text)
    }
  }
}
