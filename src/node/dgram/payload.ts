// What a program may hand to send(): strings, views, or a list of them, as the bytes of one datagram.

import { codedError, invalidArgType } from '../node-errors.ts'

const BUFFER_KINDS = 'of type string or an instance of Buffer, TypedArray, or DataView'

/** The part of one payload that send() names. Throws as Node does. */
export function slice(buffer: unknown, offset: unknown, length: unknown): Uint8Array {
  const bytes = typeof buffer === 'string' ? Buffer.from(buffer) : buffer
  if (!ArrayBuffer.isView(bytes)) throw invalidArgType('buffer', BUFFER_KINDS, buffer)
  const [from, count] = [(offset as number) >>> 0, (length as number) >>> 0]
  const outside = from > bytes.byteLength ? 'offset' : from + count > bytes.byteLength ? 'length' : null
  if (outside !== null)
    throw codedError(RangeError, 'ERR_BUFFER_OUT_OF_BOUNDS', `"${outside}" is outside of buffer bounds`)
  return Buffer.from(bytes.buffer, bytes.byteOffset + from, count)
}

/** The pieces of one datagram. Throws as Node does. */
export function bufferList(given: unknown): Uint8Array[] {
  if (typeof given === 'string') return [Buffer.from(given)]
  if (!Array.isArray(given)) {
    if (ArrayBuffer.isView(given)) return [Buffer.from(given.buffer, given.byteOffset, given.byteLength)]
    throw invalidArgType('buffer', BUFFER_KINDS, given)
  }
  return given.length === 0
    ? [Buffer.alloc(0)]
    : given.map((one: unknown) => {
        if (typeof one === 'string') return Buffer.from(one)
        if (!ArrayBuffer.isView(one)) throw invalidArgType('buffer list arguments', BUFFER_KINDS, given)
        return Buffer.from(one.buffer, one.byteOffset, one.byteLength)
      })
}
