// Round-trip times as ping(8) sums them up.

export class RoundTrips {
  count = 0
  least = Number.POSITIVE_INFINITY
  most = 0
  private sum = 0
  private squares = 0

  /** In milliseconds. */
  add(millis: number): void {
    this.count++
    this.sum += millis
    this.squares += millis * millis
    if (millis < this.least) this.least = millis
    if (millis > this.most) this.most = millis
  }

  get mean(): number {
    return this.count === 0 ? 0 : this.sum / this.count
  }

  /** The standard deviation, which ping calls mdev. */
  get deviation(): number {
    return this.count === 0 ? 0 : Math.sqrt(Math.max(0, this.squares / this.count - this.mean * this.mean))
  }
}
