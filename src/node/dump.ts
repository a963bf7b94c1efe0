// Prints captures: the library part of `hourglass dump FILE`. A file is read in pieces, so its size does
// not matter, and '-' is standard input. Whatever the bytes are, the outcome is lines: what cannot be read is
// a line with [malformed] in it, after which there is no more.

import { open } from 'node:fs/promises'
import type { CaptureItem, NamesItem, PacketItem } from '../capture/capture-item.ts'
import { CaptureReader } from '../capture/pcapng-reader.ts'
import { EnvironmentError, UsageError } from '../errors.ts'
import { IpAddress } from '../wire/address.ts'
import { type DescribeOptions, describeFrame } from '../wire/describe.ts'
import { TcpFlows } from '../wire/describe-tcp.ts'

const CHUNK_BYTES = 256 * 1_024

export type DumpTime = 'absolute' | 'relative' | 'none'

export interface DumpOptions {
  /** absolute: time of day in UTC. relative: seconds since the first packet. Default absolute. */
  time?: DumpTime
  /** Stop after so many packets. */
  count?: number
  /** As `tcpdump -S`: TCP sequence numbers as on the wire, not counted from the start of the connection. */
  absoluteSequence?: boolean
  /** As `tcpdump -v`. */
  verbose?: boolean
  /** As `tcpdump -e`. */
  link?: boolean
}

/** One packet of a capture, or what took the place of the rest: the shape of `hourglass dump --json`. */
export interface DumpObject {
  /** From 1; 0 for what is not a packet. */
  readonly number: number
  /** Seconds since 1970 with nine decimals; '' where the capture does not say. */
  readonly time: string
  readonly interface: string
  readonly direction: 'in' | 'out' | 'unknown'
  readonly length: number
  readonly capturedLength: number
  readonly text: string
  readonly comments: readonly string[]
  /** Packets of this interface that the capture lost just before. */
  readonly dropCount: number
  readonly malformed: boolean
}

/** The packets of a capture file as lines in tcpdump's manner. Throws UsageError where the path is no file's, EnvironmentError where the file cannot be read. */
export async function* dumpLines(path: string, options: DumpOptions = {}): AsyncGenerator<string> {
  const printer = new LinePrinter(options.time ?? 'absolute', describeOptions(options))
  for await (const item of packetsOf(path, options)) yield printer.line(item)
}

/** The same as objects. */
export async function* dumpObjects(path: string, options: DumpOptions = {}): AsyncGenerator<DumpObject> {
  const style = describeOptions(options)
  let number = 0
  for await (const item of packetsOf(path, options)) {
    if (item.kind === 'packet') number++
    yield dumpObject(item, number, style)
  }
}

const describeOptions = (options: DumpOptions): DescribeOptions => ({
  absoluteSequence: options.absoluteSequence ?? false,
  verbose: options.verbose ?? false,
  link: options.link ?? false,
  flows: new TcpFlows(),
})

type Dumped = Extract<CaptureItem, { kind: 'packet' | 'error' }>

async function* packetsOf(path: string, options: DumpOptions): AsyncGenerator<Dumped> {
  const limit = options.count ?? Number.POSITIVE_INFINITY
  let count = 0
  if (limit <= 0) return
  for await (const item of readCaptureFile(path)) {
    if (item.kind !== 'packet' && item.kind !== 'error') continue
    yield item
    if (item.kind === 'packet' && ++count >= limit) return
  }
}

/** Every item of a capture file. An item's bytes are valid until the next one is asked for. */
export async function* readCaptureFile(path: string): AsyncGenerator<CaptureItem> {
  const reader = new CaptureReader()
  for await (const chunk of chunksOf(path)) {
    reader.push(chunk)
    for (let item = reader.next(); item !== null; item = reader.next()) {
      yield item
      if (item.kind === 'error') return
    }
  }
  reader.end()
  const last = reader.next()
  if (last !== null) yield last
}

async function* chunksOf(path: string): AsyncGenerator<Uint8Array> {
  try {
    if (path === '-') {
      for await (const chunk of process.stdin) yield chunk
      return
    }
    const file = await open(path, 'r')
    try {
      const chunk = new Uint8Array(CHUNK_BYTES)
      for (;;) {
        const { bytesRead } = await file.read(chunk, 0, CHUNK_BYTES, null)
        if (bytesRead === 0) return
        yield chunk.subarray(0, bytesRead)
      }
    } finally {
      await file.close()
    }
  } catch (error) {
    const wrong = WRONG_PATH.get(error instanceof Error && 'code' in error ? error.code : undefined)
    if (wrong !== undefined) {
      throw new UsageError(`cannot read the capture '${path}': ${wrong}: give the path of a .pcapng or .pcap file`)
    }
    const why = error instanceof Error ? error.message : String(error)
    throw new EnvironmentError(`cannot read the capture ${path}`, why, 'give the path of a .pcapng or .pcap file')
  }
}

/** Of the error codes, those that are a mistake of the path itself. */
const WRONG_PATH: ReadonlyMap<unknown, string> = new Map([
  ['ENOENT', 'there is no such file'],
  ['ENOTDIR', 'a part of the path is not a directory'],
  ['EISDIR', 'it is a directory'],
  ['ENAMETOOLONG', 'the name is too long'],
])

/** Keeps what a line needs of those before it. */
class LinePrinter {
  private readonly time: DumpTime
  private readonly style: DescribeOptions
  private first: PacketItem | null = null

  constructor(time: DumpTime, style: DescribeOptions) {
    this.time = time
    this.style = style
  }

  line(item: Dumped): string {
    if (item.kind === 'error') return errorText(item.at, item.what)
    this.first ??= { ...item, bytes: NO_BYTES }
    const name = item.device.name === '' ? '' : `${item.device.name} `
    const direction = item.direction === 'in' ? 'In  ' : item.direction === 'out' ? 'Out ' : ''
    const lost = item.dropCount > 0 ? `  # ${item.dropCount} packets before this one were not recorded` : ''
    const comments = item.comments.map((comment) => `  # ${comment}`).join('')
    return printable(`${this.stamp(item)}${name}${direction}${packetText(item, this.style)}${comments}${lost}`)
  }

  private stamp(item: PacketItem): string {
    if (this.time === 'none') return ''
    if (!item.stamped) return '-- '
    if (this.time === 'absolute') return `${timeOfDay(item)} `
    const first = this.first ?? item
    const nanos = (item.seconds - first.seconds) * 1e9 + item.nanos - first.nanos
    return `${(nanos / 1e9).toFixed(6)} `
  }
}

const NO_BYTES = new Uint8Array(0)

function dumpObject(item: Dumped, number: number, style: DescribeOptions): DumpObject {
  const isPacket = item.kind === 'packet'
  return {
    number: isPacket ? number : 0,
    time: isPacket && item.stamped ? `${item.seconds}.${String(item.nanos).padStart(9, '0')}` : '',
    interface: isPacket ? item.device.name : '',
    direction: isPacket ? item.direction : 'unknown',
    length: isPacket ? item.originalLength : 0,
    capturedLength: isPacket ? item.bytes.length : 0,
    text: isPacket ? printable(packetText(item, style)) : errorText(item.at, item.what),
    comments: isPacket ? item.comments : [],
    dropCount: isPacket ? item.dropCount : 0,
    malformed: !isPacket,
  }
}

const errorText = (at: number, what: string): string => `[malformed] at byte ${at}: ${what}`

/** The link types that hold Ethernet frames or bare IP packets; the others are some systems' numbers for the latter. */
const MEDIA: ReadonlyMap<number, 'ethernet' | 'ip'> = new Map([
  [1, 'ethernet'],
  [12, 'ip'],
  [14, 'ip'],
  [101, 'ip'],
  [228, 'ip'],
  [229, 'ip'],
])

function packetText(item: PacketItem, style: DescribeOptions): string {
  const { bytes } = item
  const medium = MEDIA.get(item.device.linkType)
  if (medium === undefined) return `link type ${item.device.linkType}, length ${item.originalLength}`
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length)
  return describeFrame(view, 0, bytes.length, medium, style)
}

/** `12:34:56.123456`, in UTC so that the same capture prints the same everywhere. */
function timeOfDay(item: PacketItem): string {
  const second = ((item.seconds % 86_400) + 86_400) % 86_400
  const two = (value: number): string => String(Math.floor(value)).padStart(2, '0')
  const micros = String(Math.floor(item.nanos / 1_000)).padStart(6, '0')
  return `${two(second / 3_600)}:${two((second / 60) % 60)}:${two(second % 60)}.${micros}`
}

/** What a stranger's capture says must not move the cursor of a terminal. */
export const printable = (text: string): string =>
  // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is looked for
  text.replace(/[\u0000-\u001f\u007f-\u009f\u2028\u2029\u202a-\u202e]/g, (character) =>
    character === '\n' ? ' / ' : `\\x${character.charCodeAt(0).toString(16).padStart(2, '0')}`,
  )

/** The names of addresses in a capture, as text: `10.0.0.1 host-a`. */
export const nameLines = (item: NamesItem): string[] =>
  item.names.map(({ address, name }) => {
    const view = new DataView(address.buffer, address.byteOffset, address.length)
    return printable(`${address.length === 4 ? IpAddress.read4(view, 0) : IpAddress.read6(view, 0)} ${name}`)
  })
