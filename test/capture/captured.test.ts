// captured() and traced() around a device in memory.

import { describe, expect, it } from 'vitest'
import { Packet } from '../../src/buf/packet.ts'
import type { PacketItem } from '../../src/capture/capture-item.ts'
import { readCapture } from '../../src/capture/pcapng-reader.ts'
import { PcapngWriter } from '../../src/capture/pcapng-writer.ts'
import { captured, PacketCapture } from '../../src/link/capture.ts'
import { type Device, NO_OFFLOADS } from '../../src/link/device.ts'
import type { EdgeDevice } from '../../src/link/edge-device.ts'
import { traced } from '../../src/link/trace.ts'
import { type Clock, IMMEDIATELY, type Micros, micros, NEVER } from '../../src/time.ts'
import { IpAddress } from '../../src/wire/address.ts'
import { testPool } from '../support/pool.ts'
import * as frames from './frames.ts'
import { HOST_A, HOST_B, ipv4, join, pattern } from './frames.ts'

/** Keeps what is transmitted until the test takes it; refuses everything while `full`. */
class FakeEdge implements EdgeDevice {
  readonly name = 'fake0'
  readonly medium = 'ip'
  readonly mtu = 1_500
  readonly offloads = NO_OFFLOADS
  readonly macAddress = null
  onReceive: ((packet: Packet) => void) | null = null
  onReadable: (() => void) | null = null
  onFailure: ((error: Error) => void) | null = null
  full = false
  refusalNote = ''
  readonly sent: Uint8Array[] = []
  readonly calls: string[] = []

  transmit(packet: Packet): boolean {
    if (this.full) packet.note = this.refusalNote === '' ? packet.note : this.refusalNote
    else this.sent.push(packet.toBytes())
    packet.release()
    return !this.full
  }

  drain(budget: number): number {
    this.calls.push(`drain ${budget}`)
    return 7
  }

  arm(): void {
    this.calls.push('arm')
  }

  deadline(): Micros {
    return IMMEDIATELY
  }

  poll(now: Micros): void {
    this.calls.push(`poll ${now}`)
  }

  close(): void {
    this.calls.push('close')
  }
}

/** Without what only an EdgeDevice has. */
function plainDevice(): Device {
  return {
    name: 'plain0',
    medium: 'ethernet',
    mtu: 9_000,
    offloads: NO_OFFLOADS,
    macAddress: null,
    onReceive: null,
    transmit: (packet) => {
      packet.release()
      return true
    },
    deadline: () => NEVER,
    poll: () => {},
    close: () => {},
  }
}

const clock: Clock = { now: () => micros(2_250_000), wall: () => micros(1_795_264_496_123_456) }

const echo = ipv4(HOST_A, HOST_B, { protocol: 1, identification: 1 }, frames.echo4(8, 1, 1, pattern(8)))

function setUp() {
  const pool = testPool()
  const writer = new PcapngWriter()
  const fake = new FakeEdge()
  const sink = new PacketCapture(writer)
  const device = captured(fake, sink, clock)
  const arrive = (bytes: Uint8Array, note = ''): void => {
    const packet = Packet.from(pool, bytes)!
    packet.note = note
    fake.onReceive!(packet)
  }
  const packets = (): PacketItem[] => [...readCapture(writer.take().slice())].filter((item) => item.kind === 'packet')
  return { pool, writer, fake, sink, device, arrive, packets }
}

describe('captured()', () => {
  it('records both directions with the time of the wall and the note, and passes the packets on unchanged', () => {
    const { pool, fake, device, arrive, packets } = setUp()
    const received: Uint8Array[] = []
    device.onReceive = (packet) => {
      received.push(packet.toBytes())
      packet.release()
    }
    arrive(echo)
    const reply = Packet.from(pool, pattern(21))!
    reply.note = 'retransmission #1'
    expect(device.transmit(reply)).toBe(true)
    expect(received).toEqual([echo])
    expect(fake.sent).toEqual([pattern(21)])
    const recorded = packets()
    expect(recorded.map(({ direction, comments }) => [direction, comments])).toEqual([
      ['in', []],
      ['out', ['retransmission #1']],
    ])
    expect(recorded.map(({ device: from }) => `${from.name} ${from.linkType}`)).toEqual(['fake0 101', 'fake0 101'])
    expect(recorded.map(({ seconds, nanos }) => [seconds, nanos])).toEqual([
      [1_795_264_496, 123_456_000],
      [1_795_264_496, 123_456_000],
    ])
  })

  it('records an arriving packet before it is delivered, so that answers come after it', () => {
    const { pool, device, arrive, packets } = setUp()
    device.onReceive = (packet) => {
      packet.note = 'udpNoPort'
      packet.release()
      device.transmit(Packet.from(pool, pattern(30))!)
    }
    arrive(echo, 'delayed 3 ms')
    expect(packets().map(({ direction, comments }) => [direction, comments])).toEqual([
      ['in', ['delayed 3 ms', 'dropped: udpNoPort']],
      ['out', []],
    ])
  })

  it('says of packets that the device refused that they were dropped, and why where the device tells', () => {
    const { pool, fake, device, packets } = setUp()
    fake.full = true
    expect(device.transmit(Packet.from(pool, echo)!)).toBe(false)
    fake.refusalNote = 'deviceFull'
    expect(device.transmit(Packet.from(pool, echo)!)).toBe(false)
    expect(packets().map(({ comments }) => comments)).toEqual([
      ['dropped: refused by the device'],
      ['dropped: deviceFull'],
    ])
  })

  it('releases what arrives while nobody listens', () => {
    const { arrive, packets } = setUp()
    arrive(echo)
    expect(packets()).toHaveLength(1)
  })

  it('keeps an EdgeDevice one, and forwards all that it does', () => {
    const { fake, device } = setUp()
    const readable = (): void => {}
    const failed = (): void => {}
    device.onReadable = readable
    device.onFailure = failed
    expect([fake.onReadable, fake.onFailure]).toEqual([readable, failed])
    expect([device.onReadable, device.onFailure, device.onReceive]).toEqual([readable, failed, null])
    expect(device.drain(64)).toBe(7)
    device.arm()
    device.poll(micros(5))
    device.close()
    expect(fake.calls).toEqual(['drain 64', 'arm', 'poll 5', 'close'])
    expect(device.deadline()).toBe(IMMEDIATELY)
    expect(device.mtu).toBe(1_500)
  })

  it('makes no EdgeDevice of a plain one', () => {
    const writer = new PcapngWriter()
    const device = captured(plainDevice(), new PacketCapture(writer), clock)
    expect('drain' in device).toBe(false)
    expect([device.name, device.medium, device.mtu, device.deadline()]).toEqual(['plain0', 'ethernet', 9_000, NEVER])
    expect([...readCapture(writer.take())][1]).toMatchObject({ name: 'plain0', linkType: 1 })
  })

  it('goes on when the capture is full, and counts', () => {
    const pool = testPool()
    const writer = new PcapngWriter({ limitBytes: 1_024 })
    const fake = new FakeEdge()
    const device = captured(fake, new PacketCapture(writer), clock)
    for (let index = 0; index < 5; index++) expect(device.transmit(Packet.from(pool, echo)!)).toBe(true)
    expect(fake.sent).toHaveLength(5)
    expect(writer.droppedRecords).toBe(5)
  })

  it('names addresses of both families', () => {
    const { writer, sink } = setUp()
    sink.addName(IpAddress.from('10.0.0.1'), 'a')
    sink.addName(IpAddress.from('fd00::1'), 'b')
    const names = [...readCapture(writer.take())].flatMap((item) => (item.kind === 'names' ? item.names : []))
    expect(names.map(({ name }) => name)).toEqual(['a', 'b'])
    expect(names[0]?.address).toEqual(HOST_A.ip4)
    expect(names[1]?.address).toEqual(HOST_A.ip6)
  })
})

describe('a packet with a partial checksum', () => {
  const IP = 20
  const TRANSPORTS = [
    { name: 'UDP', protocol: 17, field: 6 },
    { name: 'TCP', protocol: 6, field: 16 },
  ]

  const headOf = (protocol: number, payload: Uint8Array): Uint8Array =>
    protocol === 17
      ? frames.udp(40_000, 50_000, payload)
      : frames.tcp({
          sourcePort: 1,
          destinationPort: 2,
          seq: 3,
          ack: 4,
          flags: 16,
          window: 5,
          options: new Uint8Array(0),
          payload,
        })

  /** The packet as a sender leaves it, its payload cut into fragments at `cuts`. */
  function partialPacket(pool: ReturnType<typeof testPool>, protocol: number, field: number, payload: Uint8Array) {
    const bytes = headOf(protocol, payload)
    const sum = frames.partialSum(HOST_A.ip4, HOST_B.ip4, protocol, bytes.length)
    bytes[field] = sum >>> 8
    bytes[field + 1] = sum & 0xff
    const whole = ipv4(HOST_A, HOST_B, { protocol, identification: 1 }, bytes)
    const head = whole.length - payload.length
    const packet = Packet.from(pool, whole.subarray(0, head))!
    for (let at = head; at < whole.length; at += 7) {
      const part = Packet.from(pool, whole.subarray(at, at + 7))!
      packet.addFragment(part.page, part.data, part.length)
      part.release()
    }
    packet.checksum = 'partial'
    packet.checksumStart = packet.data + IP
    packet.checksumField = packet.data + IP + field
    return { packet, whole }
  }

  const finished = (protocol: number, field: number, payload: Uint8Array): Uint8Array => {
    const bytes = frames.transport(HOST_A.ip4, HOST_B.ip4, protocol, field, headOf(protocol, payload))
    return ipv4(HOST_A, HOST_B, { protocol, identification: 1 }, bytes)
  }

  it.each(TRANSPORTS)('is completed in the capture and nowhere else ($name)', ({ protocol, field }) => {
    for (const length of [0, 1, 6, 7, 8, 100, 101]) {
      const { pool, fake, device, packets } = setUp()
      const { packet, whole } = partialPacket(pool, protocol, field, pattern(length))
      device.transmit(packet)
      expect(fake.sent).toEqual([whole])
      expect(Uint8Array.from(packets()[0]!.bytes)).toEqual(finished(protocol, field, pattern(length)))
    }
  })

  it('never has 0 in the field of UDP, which would say that there is none (RFC 768)', () => {
    const { pool, device, packets } = setUp()
    // A payload that makes the sum come out as zero.
    const bare = finished(17, 6, Uint8Array.of(0, 0))
    const payload = bare.slice(IP + 6, IP + 8)
    device.transmit(partialPacket(pool, 17, 6, payload).packet)
    expect([...packets()[0]!.bytes.subarray(IP + 6, IP + 8)]).toEqual([0xff, 0xff])
  })

  it('is completed in a super-segment as if it were one segment, so that no reader takes it for damaged', () => {
    const { pool, fake, device, packets } = setUp()
    const { packet, whole } = partialPacket(pool, 6, 16, pattern(3_000))
    packet.segmentBytes = 1_460
    packet.segmentKind = 'tcp4'
    device.transmit(packet)
    expect(fake.sent).toEqual([whole])
    expect(Uint8Array.from(packets()[0]!.bytes)).toEqual(finished(6, 16, pattern(3_000)))
  })

  it('is recorded as it is where the offsets are nonsense', () => {
    const { pool, device, packets } = setUp()
    const nonsense = partialPacket(pool, 6, 16, pattern(10))
    nonsense.packet.checksumField = nonsense.packet.tail - 1
    device.transmit(nonsense.packet)
    expect(packets().map(({ bytes }) => Uint8Array.from(bytes))).toEqual([nonsense.whole])
  })
})

describe('traced()', () => {
  it('prints a line per packet with time, device, direction and note, also of packets in fragments', () => {
    const pool = testPool()
    const lines: string[] = []
    const fake = new FakeEdge()
    const device = traced(fake, (line) => lines.push(line), clock)
    device.onReceive = (packet) => packet.release()
    const packet = Packet.from(pool, echo.subarray(0, 24))!
    const rest = Packet.from(pool, echo.subarray(24))!
    packet.addFragment(rest.page, rest.data, rest.length)
    rest.release()
    packet.note = 'faultLoss'
    fake.onReceive!(packet)
    fake.full = true
    fake.refusalNote = 'deviceFull'
    device.transmit(Packet.from(pool, echo)!)
    const text = 'IP 10.0.0.1 > 10.0.0.2: ICMP echo request, id 1, seq 1, length 16'
    expect(lines).toEqual([
      `2.250000 fake0 In  ${text}  # dropped: faultLoss`,
      `2.250000 fake0 Out ${text}`,
      '2.250000 fake0     # dropped: deviceFull',
    ])
  })

  it('wraps what is captured already', () => {
    const { pool, writer, fake, device } = setUp()
    const lines: string[] = []
    const both = traced(device, (line) => lines.push(line), clock)
    both.transmit(Packet.from(pool, join(echo))!)
    expect(lines).toHaveLength(1)
    expect(fake.sent).toHaveLength(1)
    expect(writer.packets).toBe(1)
  })
})
