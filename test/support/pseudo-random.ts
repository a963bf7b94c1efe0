// Streams of bytes that nobody mistakes for one another: pseudo-random ones from a seed, made as fast as they are sent, so that
// both ends of a long transfer know them without a file, and by their SHA-256.

import { type Cipher, createCipheriv, createHash } from 'node:crypto'

const ZEROS = new Uint8Array(256 * 1_024)

/** AES in counter mode, with the seed as its key. */
export class PseudoRandomBytes {
  private readonly cipher: Cipher
  private left: number

  /** `size` bytes in all. */
  constructor(seed: number, size: number) {
    const key = Buffer.alloc(16)
    key.writeUInt32BE(seed)
    this.cipher = createCipheriv('aes-128-ctr', key, Buffer.alloc(16))
    this.left = size
  }

  /** The next bytes; none at the end. */
  next(): Uint8Array {
    const count = Math.min(this.left, ZEROS.length)
    this.left -= count
    return this.cipher.update(ZEROS.subarray(0, count))
  }

  *[Symbol.iterator](): Iterator<Uint8Array> {
    for (let chunk = this.next(); chunk.length > 0; chunk = this.next()) yield chunk
  }
}

const known = new Map<string, string>()

/** The SHA-256 of such a stream, in hexadecimal. */
export function digestOf(seed: number, size: number): string {
  const name = `${seed} ${size}`
  let digest = known.get(name)
  if (digest === undefined) {
    const hash = createHash('sha256')
    for (const chunk of new PseudoRandomBytes(seed, size)) hash.update(chunk)
    digest = hash.digest('hex')
    known.set(name, digest)
  }
  return digest
}
