// The Internet checksum (RFC 1071): the ones' complement of the ones' complement sum of 16-bit words.
// Sums are kept unfolded in a number (exact far beyond 64 KiB) and in network byte order; sums of pieces add
// up, except that a piece which follows an odd number of bytes counts byte-swapped (addPiece).

/** Memory seen three ways; a page is one. `words` is the same memory in the machine's byte order. */
export interface Octets {
  readonly bytes: Uint8Array
  readonly view: DataView
  readonly words: Uint32Array
}

const LITTLE_ENDIAN = new Uint8Array(new Uint16Array([1]).buffer)[0] === 1

/** Folds a sum into 16 bits. Without a remainder of doubles, which costs more than a whole IPv4 header's sum. */
export function fold(sum: number): number {
  const low = sum >>> 0
  const high = (sum - low) / 0x1_0000_0000
  const once = (low >>> 16) + (low & 0xffff) + (high >>> 16) + (high & 0xffff)
  const twice = (once >>> 16) + (once & 0xffff)
  return (twice >>> 16) + (twice & 0xffff)
}

export const swap16 = (value: number): number => ((value & 0xff) << 8) | (value >>> 8)

/** What goes into a checksum field: the complement of the folded sum. */
export const complement = (sum: number): number => ~fold(sum) & 0xffff

/** Adds a piece's sum to that of the `before` bytes ahead of it. */
export const addPiece = (sum: number, before: number, piece: number): number =>
  sum + ((before & 1) === 0 ? piece : swap16(fold(piece)))

/** The sum of bytes [at, at + length), as if they started at an even position; an odd last byte is padded with zero. */
export function sumOctets(octets: Octets, at: number, length: number): number {
  if (length === 0) return 0
  // An odd address: the rest is even, and is out by one byte against this one.
  if ((at & 1) === 1) {
    return (octets.bytes[at]! << 8) + swap16(fold(sumOctets(octets, at + 1, length - 1)))
  }
  let sum = 0
  let from = at
  const end = at + length
  if ((from & 2) === 2 && length >= 2) {
    sum = octets.view.getUint16(from)
    from += 2
  }
  const wordCount = (end - from) >>> 2
  if (wordCount > 0) {
    const swapped = fold(sumWords(octets.words, from >>> 2, wordCount))
    sum += LITTLE_ENDIAN ? swap16(swapped) : swapped
    from += wordCount << 2
  }
  if (end - from >= 2) {
    sum += octets.view.getUint16(from)
    from += 2
  }
  if (from < end) sum += octets.bytes[from]! << 8
  return sum
}

/** The sum of `count` words from `index`, in the machine's byte order: a double holds 2^21 of them exactly. */
function sumWords(words: Uint32Array, index: number, count: number): number {
  let even = 0
  let odd = 0
  const end = index + count
  const unrolled = index + (count & ~3)
  let at = index
  for (; at < unrolled; at += 4) {
    even += words[at]! + words[at + 1]!
    odd += words[at + 2]! + words[at + 3]!
  }
  for (; at < end; at++) even += words[at]!
  return even + odd
}

/** The checksum after one 16-bit word changed, by RFC 1624 equation 3: no look at the rest. */
export function updateChecksum(checksum: number, oldWord: number, newWord: number): number {
  return complement((~checksum & 0xffff) + (~oldWord & 0xffff) + newWord)
}
