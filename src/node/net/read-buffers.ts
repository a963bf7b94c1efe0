// Memory for what sockets read. Chunks share an allocation, as Node's Buffer.allocUnsafe has it, which a chunk that is kept
// then keeps as a whole; so small ones share a small one, and large ones a large one. A large chunk with memory of its
// own would cost more than the copy into it: memory that was never touched, and a garbage collection for every few.

/** What libuv reads at most at once. */
const MOST_BYTES = 65_536
/** Of each size of slab, chunks up to a quarter are cut. */
const CHUNKS_PER_SLAB = 4
const SMALL_BYTES = MOST_BYTES / CHUNKS_PER_SLAB
/** Chunks begin on words. */
const ALIGNMENT = 8

interface Slab {
  bytes: Uint8Array<ArrayBuffer>
  used: number
}

const small: Slab = { bytes: new Uint8Array(0), used: 0 }
const large: Slab = { bytes: new Uint8Array(0), used: 0 }

function take(wanted: number): Buffer {
  const size = Math.min(wanted, MOST_BYTES)
  return size > SMALL_BYTES ? cut(large, size, MOST_BYTES) : cut(small, size, SMALL_BYTES)
}

function cut(slab: Slab, size: number, largest: number): Buffer {
  if (slab.used + size > slab.bytes.length) {
    slab.bytes = Buffer.allocUnsafeSlow(CHUNKS_PER_SLAB * largest)
    slab.used = 0
  }
  const chunk = Buffer.from(slab.bytes.buffer, slab.used, size)
  slab.used += (size + ALIGNMENT - 1) & -ALIGNMENT
  return chunk
}

export const ReadBuffers = { MOST_BYTES, take }
