// Text into bytes in place: TextEncoder would make an array for every comment.

const REPLACEMENT = 0xfffd

/** Writes as much of the text as whole characters fit into `limit` bytes, and returns how many bytes that took. */
export function writeUtf8(bytes: Uint8Array, at: number, text: string, limit: number): number {
  let to = at
  const end = at + limit
  for (let index = 0; index < text.length; index++) {
    let code = text.charCodeAt(index)
    if (code < 0x80) {
      if (to === end) break
      bytes[to++] = code
      continue
    }
    if (code >= 0xd800 && code < 0xe000) {
      // Half of a pair alone is no character.
      const whole = text.codePointAt(index)!
      if (whole > 0xffff) index++
      code = whole > 0xffff ? whole : REPLACEMENT
    }
    const size = code < 0x800 ? 2 : code < 0x1_0000 ? 3 : 4
    if (to + size > end) break
    if (size === 2) bytes[to++] = 0xc0 | (code >>> 6)
    else {
      if (size === 3) bytes[to++] = 0xe0 | (code >>> 12)
      else {
        bytes[to++] = 0xf0 | (code >>> 18)
        bytes[to++] = 0x80 | ((code >>> 12) & 0x3f)
      }
      bytes[to++] = 0x80 | ((code >>> 6) & 0x3f)
    }
    bytes[to++] = 0x80 | (code & 0x3f)
  }
  return to - at
}
