// Promises that wait for a socket to change: readers, writers, whoever. All are woken together and look again.

interface Waiter {
  resolve(): void
  reject(reason: unknown): void
  signal: AbortSignal | null
  onAbort: () => void
}

/** Nobody waits, which is the rule: nobody puts anything in. */
const NOBODY: Waiter[] = []

export class Waiters {
  private waiting = NOBODY

  get size(): number {
    return this.waiting.length
  }

  /** Settles at the next wake(), or rejects with the signal's reason. */
  wait(signal?: AbortSignal): Promise<void> {
    return new Promise((resolve, reject) => {
      if (signal?.aborted) {
        reject(signal.reason)
        return
      }
      const waiter: Waiter = { resolve, reject, signal: signal ?? null, onAbort: () => this.abort(waiter) }
      signal?.addEventListener('abort', waiter.onAbort, { once: true })
      if (this.waiting === NOBODY) this.waiting = []
      this.waiting.push(waiter)
    })
  }

  wake(): void {
    const woken = this.waiting
    if (woken.length === 0) return
    this.waiting = NOBODY
    for (const waiter of woken) {
      waiter.signal?.removeEventListener('abort', waiter.onAbort)
      waiter.resolve()
    }
  }

  private abort(waiter: Waiter): void {
    this.waiting = this.waiting.filter((other) => other !== waiter)
    waiter.reject(waiter.signal!.reason)
  }
}
