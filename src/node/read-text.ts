// Texts that a person wrote: scripts, settings, the epoch. What has no end, like /dev/zero, is not read to it.

import { closeSync, openSync, readSync } from 'node:fs'

const CHUNK_BYTES = 64 * 1_024

/** The text of a file of at most `most` bytes. Throws what the system says, or an Error for a longer one. */
export function readText(path: string, most: number): string {
  const fd = openSync(path, 'r')
  try {
    const chunks: Buffer[] = []
    let length = 0
    for (;;) {
      const chunk = Buffer.allocUnsafe(Math.min(CHUNK_BYTES, most + 1))
      const count = readSync(fd, chunk)
      if (count === 0) return Buffer.concat(chunks).toString('utf8')
      chunks.push(chunk.subarray(0, count))
      length += count
      if (length > most) throw new Error(`it is longer than ${most} bytes`)
    }
  } finally {
    closeSync(fd)
  }
}
