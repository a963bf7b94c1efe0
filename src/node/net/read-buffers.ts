// Memory for what sockets read. Small chunks share one allocation, as Node's Buffer.allocUnsafe has it, which a chunk
// that is kept then keeps as a whole; so what shares is small, and a large chunk has memory of its own.

/** What libuv reads at most at once. */
const MOST_BYTES = 65_536
/** Cut into chunks of up to a quarter. */
const SLAB_BYTES = 65_536
const SHARED_BYTES = SLAB_BYTES / 4
/** Chunks begin on words. */
const ALIGNMENT = 8

let slab = new Uint8Array(SLAB_BYTES)
let used = 0

function take(wanted: number): Buffer {
  const size = Math.min(wanted, MOST_BYTES)
  if (size > SHARED_BYTES) return Buffer.allocUnsafeSlow(size)
  if (used + size > SLAB_BYTES) {
    slab = Buffer.allocUnsafeSlow(SLAB_BYTES)
    used = 0
  }
  const chunk = Buffer.from(slab.buffer, slab.byteOffset + used, size)
  used += (size + ALIGNMENT - 1) & -ALIGNMENT
  return chunk
}

export const ReadBuffers = { MOST_BYTES, take }
