// What keeps the process alive for the sockets of one host. Ours have no libuv handle, so Node would end while they
// wait: as long as one of them is ref'ed, one timer that never fires stands for all.

/** The longest wait that setInterval takes. */
const LONGEST_MILLIS = 0x7fff_ffff

/** One handle's share in keeping the process alive, as the ref() and unref() of Node's handles. */
export class Hold {
  private readonly keepAlive: KeepAlive
  private refed = false
  private released = false

  constructor(keepAlive: KeepAlive) {
    this.keepAlive = keepAlive
    this.ref()
  }

  /** A second call does nothing. */
  ref(): void {
    if (this.refed || this.released) return
    this.refed = true
    this.keepAlive.change(1)
  }

  unref(): void {
    if (!this.refed) return
    this.refed = false
    this.keepAlive.change(-1)
  }

  hasRef(): boolean {
    return this.refed
  }

  /** The handle is closed: it holds nothing any more, whatever is called. */
  release(): void {
    this.unref()
    this.released = true
  }
}

export class KeepAlive {
  private count = 0
  private timer: NodeJS.Timeout | null = null

  /** Handles that keep the process alive now. */
  get holding(): number {
    return this.count
  }

  /** A new share, ref'ed. */
  hold(): Hold {
    return new Hold(this)
  }

  /** For Hold alone. */
  change(by: 1 | -1): void {
    this.count += by
    if (this.count > 0) this.timer ??= setInterval(() => {}, LONGEST_MILLIS)
    else if (this.timer !== null) {
      clearInterval(this.timer)
      this.timer = null
    }
  }
}
