// TCP sequence numbers: 32 bits that wrap, kept as int32 (RFC 9293 §3.4). They are compared here and nowhere
// else: `<` on two of them is a bug. Right as long as two numbers are less than 2^31 apart.

export type Seq = number & { readonly unit: 'sequence' }

export const seq = (value: number): Seq => (value | 0) as Seq
export const seqAdd = (a: Seq, bytes: number): Seq => ((a + bytes) | 0) as Seq
/** How far `a` is ahead of `b`, in bytes; negative when it is behind. */
export const seqDiff = (a: Seq, b: Seq): number => (a - b) | 0
export const seqBefore = (a: Seq, b: Seq): boolean => ((a - b) | 0) < 0
export const seqAtMost = (a: Seq, b: Seq): boolean => ((a - b) | 0) <= 0
export const seqAfter = (a: Seq, b: Seq): boolean => ((a - b) | 0) > 0
export const seqAtLeast = (a: Seq, b: Seq): boolean => ((a - b) | 0) >= 0
export const seqMax = (a: Seq, b: Seq): Seq => (seqAfter(a, b) ? a : b)
export const seqMin = (a: Seq, b: Seq): Seq => (seqBefore(a, b) ? a : b)

/** Whether `a` is one of the `length` numbers from `first` on; never in an empty window, right for windows up to 2^32. */
export const seqInWindow = (a: Seq, first: Seq, length: number): boolean => (a - first) >>> 0 < length

/** `low` < a <= `high`: an acknowledgement of something new (RFC 9293 §3.4). */
export const seqIsNewAck = (a: Seq, low: Seq, high: Seq): boolean => seqAfter(a, low) && seqAtMost(a, high)

/** As people read it: unsigned. */
export const seqText = (a: Seq): string => String(a >>> 0)
