// Calls into a user's code from within a batch. What they throw must not tear the batch: it is kept, and thrown from
// poll() once everything else is done.

export class UserCalls {
  private errors: unknown[] = []

  /** Calls, and keeps what it throws. */
  run(call: () => void): void {
    try {
      call()
    } catch (error) {
      this.errors.push(error)
    }
  }

  /** Throws what was kept: the error itself, or an AggregateError where there were more. */
  rethrow(): void {
    if (this.errors.length === 0) return
    const errors = this.errors
    this.errors = []
    throw errors.length === 1 ? errors[0] : new AggregateError(errors, `${errors.length} callbacks threw`)
  }
}
