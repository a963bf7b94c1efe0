// The links that need no privilege, over the loopback of the machine.

import { createSocket, type Socket } from 'node:dgram'
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { connect as connectSocket, createServer, type Socket as StreamSocket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import fc from 'fast-check'
import { afterEach, describe, expect, it } from 'vitest'
import { checkVxlan, type DatagramLink, emitVxlan } from '../../native-free-fallback/datagram-link.ts'
import { INBOX_FRAMES } from '../../native-free-fallback/frame-inbox.ts'
import { FrameCutter, LONGEST_FRAME, StreamLink } from '../../native-free-fallback/stream-link.ts'
import { HEADROOM, Packet } from '../../src/buf/packet.ts'
import type { PagePool } from '../../src/buf/page.ts'
import { Counters } from '../../src/counters.ts'
import { EnvironmentError } from '../../src/errors.ts'
import type { EdgeDevice } from '../../src/link/edge-device.ts'
import { parseLinkName } from '../../src/link/link-name.ts'
import { openLink } from '../../src/node/open-link.ts'
import { testPool } from '../support/pool.ts'

const closers: (() => void)[] = []
afterEach(() => {
  for (const close of closers.splice(0).reverse()) close()
})

interface Opened {
  device: EdgeDevice
  counters: Counters
  pool: PagePool
  frames: Uint8Array[]
}

async function open(text: string, pool = testPool()): Promise<Opened> {
  const counters = new Counters()
  const device = await openLink(parseLinkName(text), { pool, counters })
  closers.push(() => device.close())
  return collect(device, counters, pool)
}

function collect(device: EdgeDevice, counters: Counters, pool: PagePool): Opened {
  const frames: Uint8Array[] = []
  device.onReceive = (packet) => {
    expect((packet.data + (device.medium === 'ethernet' ? 14 : 0)) % 4).toBe(0)
    frames.push(packet.toBytes())
    packet.release()
  }
  return { device, counters, pool, frames }
}

const readable = (device: EdgeDevice): Promise<void> =>
  new Promise((resolve) => {
    device.onReadable = resolve
    device.arm()
  })

/** Takes frames until `count` have come. */
async function receive(opened: Opened, count: number): Promise<void> {
  while (opened.frames.length < count) {
    await readable(opened.device)
    opened.device.drain(64)
  }
}

const bytes = (length: number, seed = 1): Uint8Array<ArrayBuffer> =>
  Uint8Array.from({ length }, (_, index) => (index * 7 + seed) & 0xff)

const send = (opened: Opened, frame: Uint8Array): boolean =>
  opened.device.transmit(Packet.from(opened.pool, frame, HEADROOM)!)

async function peer(): Promise<Socket> {
  const socket = createSocket('udp4')
  closers.push(() => socket.close())
  await new Promise<void>((resolve) => socket.bind(0, '127.0.0.1', resolve))
  return socket
}

const tell = (socket: Socket, message: Uint8Array, port: number): Promise<void> =>
  new Promise((resolve) => socket.send(message, port, '127.0.0.1', () => resolve()))

describe('a UDP tunnel', () => {
  for (const [family, host] of [
    ['IPv4', '127.0.0.1'],
    ['IPv6', '[::1]'],
  ])
    it(`carries frames both ways over ${family}`, async () => {
      const first = createSocket(family === 'IPv4' ? 'udp4' : 'udp6')
      await new Promise<void>((resolve) => first.bind(0, host!.replace(/[[\]]/g, ''), resolve))
      const port = first.address().port
      await new Promise<void>((resolve) => first.close(resolve))
      const a = await open(`udp:${host}:0-${host}:${port}`)
      const b = await open(`udp:${host}:${port}-${host}:${(a.device as DatagramLink).port}`)
      for (const length of [14, 60, 1_514]) {
        expect(send(a, bytes(length, length))).toBe(true)
        expect(send(b, bytes(length, length + 1))).toBe(true)
      }
      await receive(a, 3)
      await receive(b, 3)
      expect(b.frames.map((frame) => frame.length).sort((x, y) => x - y)).toEqual([14, 60, 1_514])
      expect(a.frames).toContainEqual(bytes(60, 61))
      expect(b.frames).toContainEqual(bytes(1_514, 1_514))
    })

  it('writes a packet of fragments as one frame', async () => {
    const socket = await peer()
    const link = await open(`udp:127.0.0.1:0-127.0.0.1:${socket.address().port}`)
    const packet = Packet.from(link.pool, bytes(20), HEADROOM)!
    const rest = Packet.from(link.pool, bytes(300, 9), HEADROOM)!
    packet.append(rest)
    const got = once(socket, 'message')
    link.device.transmit(packet)
    const [message] = (await got) as [Buffer]
    expect(new Uint8Array(message)).toEqual(new Uint8Array([...bytes(20), ...bytes(300, 9)]))
  })

  it('takes frames from its remote end only, and none without an Ethernet header', async () => {
    const [remote, stranger] = [await peer(), await peer()]
    const link = await open(`udp:127.0.0.1:0-127.0.0.1:${remote.address().port}`)
    const port = (link.device as DatagramLink).port
    await tell(stranger, bytes(60), port)
    await tell(remote, bytes(13), port)
    await tell(remote, bytes(60, 5), port)
    await receive(link, 1)
    expect(link.frames).toEqual([bytes(60, 5)])
    expect(link.counters.drops).toMatchObject({ notForUs: 1, frameTooShort: 1 })
  })

  it('holds a bounded number of frames and counts those beyond it', async () => {
    const remote = await peer()
    const link = await open(`udp:127.0.0.1:0-127.0.0.1:${remote.address().port}`)
    const port = (link.device as DatagramLink).port
    const sent = INBOX_FRAMES + 40
    for (let count = 0; count < sent; count++) await tell(remote, bytes(60), port)
    while (link.pool.inUse + link.counters.drops.inputFull < sent) await new Promise(setImmediate)
    expect(link.pool.inUse).toBe(INBOX_FRAMES)
    expect(link.counters.drops.inputFull).toBe(40)
    while (link.device.drain(64) > 0);
    expect(link.frames.length).toBe(INBOX_FRAMES)
  })

  it('counts a frame that no page is left for, and reads it away', async () => {
    const remote = await peer()
    const link = await open(`udp:127.0.0.1:0-127.0.0.1:${remote.address().port}`, testPool({ limitBytes: 2_048 }))
    const port = (link.device as DatagramLink).port
    for (let count = 0; count < 3; count++) await tell(remote, bytes(60, count), port)
    while (link.counters.drops.noBuffer < 2) await new Promise(setImmediate)
    await receive(link, 1)
    expect(link.frames).toEqual([bytes(60, 0)])
  })

  it('refuses a frame beyond its MTU', async () => {
    const link = await open('udp:127.0.0.1:0-127.0.0.1:9')
    expect(send(link, bytes(1_519))).toBe(false)
    expect(link.counters.drops.deviceRefused).toBe(1)
  })

  it('says who is in the way when the port is taken', async () => {
    const socket = await peer()
    const opening = open(`udp:127.0.0.1:${socket.address().port}-127.0.0.1:9`)
    await expect(opening).rejects.toThrow(EnvironmentError)
    await expect(opening).rejects.toThrow(/another socket has it.*To mend it: ss -lunp/)
    await expect(open('udp:192.0.2.1:0-192.0.2.2:9')).rejects.toThrow(/not one of this machine/)
  })
})

describe('a VXLAN link (RFC 7348)', () => {
  const header = (flags: number, vni: number): Uint8Array =>
    Uint8Array.from([flags, 0, 0, 0, vni >>> 16, (vni >>> 8) & 0xff, vni & 0xff, 0])

  it('puts the header with the I flag and the VNI before each frame', async () => {
    const socket = await peer()
    const link = await open(`vxlan:1193046,127.0.0.1:0,127.0.0.1:${socket.address().port}`)
    const got = once(socket, 'message')
    send(link, bytes(60))
    const [message] = (await got) as [Buffer]
    expect(new Uint8Array(message)).toEqual(new Uint8Array([8, 0, 0, 0, 0x12, 0x34, 0x56, 0, ...bytes(60)]))
  })

  it('takes its own VNI from any port of the remote, and ignores reserved bits', async () => {
    const [remote, other] = [await peer(), await peer()]
    const link = await open(`vxlan:66,127.0.0.1:0,127.0.0.1:${remote.address().port}`)
    const port = (link.device as DatagramLink).port
    await tell(remote, new Uint8Array([...header(8, 67), ...bytes(60)]), port)
    await tell(remote, new Uint8Array([...header(0, 66), ...bytes(60)]), port)
    await tell(remote, header(8, 66), port)
    await tell(remote, bytes(3), port)
    const reserved = header(0xff, 66)
    reserved[7] = 0xff
    await tell(remote, new Uint8Array([...reserved, ...bytes(60, 1)]), port)
    await tell(other, new Uint8Array([...header(8, 66), ...bytes(60, 2)]), port)
    await receive(link, 2)
    expect(link.frames).toContainEqual(bytes(60, 1))
    expect(link.frames).toContainEqual(bytes(60, 2))
    expect(link.counters.drops).toMatchObject({ notForUs: 2, frameTooShort: 2 })
  })

  it('reads the header that it wrote, for every VNI', () => {
    fc.assert(
      fc.property(fc.integer({ min: 0, max: 0xff_ffff }), (vni) => {
        const view = new DataView(new ArrayBuffer(30))
        emitVxlan(view, 0, vni)
        expect(checkVxlan(view, 30, vni)).toBeUndefined()
        expect(checkVxlan(view, 30, (vni + 1) & 0xff_ffff)).toBe('notForUs')
      }),
    )
  })
})

const prefixed = (frame: Uint8Array): number[] => [0, 0, frame.length >>> 8, frame.length & 0xff, ...frame]

describe('a stream of frames with lengths', () => {
  it('is cut the same however it was chopped up', () => {
    const lengths = fc.array(fc.oneof(fc.integer({ min: 0, max: 60 }), fc.integer({ min: 1_000, max: 3_000 })), {
      maxLength: 12,
    })
    fc.assert(
      fc.property(lengths, fc.array(fc.integer({ min: 1, max: 2_000 }), { minLength: 1 }), (sizes, chops) => {
        const frames = sizes.map((size, index) => bytes(size, index))
        const stream = Uint8Array.from(frames.flatMap(prefixed))
        const got: Uint8Array[] = []
        const cutter = new FrameCutter((from, at, length) => got.push(from.slice(at, at + length)))
        for (let at = 0, turn = 0; at < stream.length; turn++) {
          const size = chops[turn % chops.length]!
          expect(cutter.push(stream.subarray(at, at + size))).toBe(true)
          at += size
        }
        expect(got).toEqual(frames)
      }),
    )
  })

  it('is given up at a length that no frame has, whole or in pieces', () => {
    const cutter = (): FrameCutter => new FrameCutter(() => expect.unreachable())
    const long = LONGEST_FRAME + 1
    const prefix = Uint8Array.from([long >>> 24, (long >>> 16) & 0xff, (long >>> 8) & 0xff, long & 0xff])
    expect(cutter().push(prefix)).toBe(false)
    expect(cutter().push(Uint8Array.from([255, 255, 255, 255, 1, 2, 3]))).toBe(false)
    const slow = cutter()
    expect([...prefix].map((byte) => slow.push(Uint8Array.of(byte)))).toEqual([true, true, true, false])
  })
})

interface Ends {
  link: Opened
  far: StreamSocket
  failures: string[]
}

/** A QEMU that connects to the Unix socket on which we listen, or a passt that listens. */
async function streamEnds(kind: 'qemu' | 'passt'): Promise<Ends> {
  const folder = mkdtempSync(join(tmpdir(), 'hg-'))
  closers.push(() => rmSync(folder, { recursive: true }))
  const path = join(folder, 'socket')
  let opened: Opened
  let far: StreamSocket
  if (kind === 'passt') {
    const server = createServer()
    closers.push(() => server.close())
    await new Promise<void>((resolve) => server.listen(path, resolve))
    const accepted = once(server, 'connection')
    opened = await open(`passt:${path}`)
    far = ((await accepted) as [StreamSocket])[0]
  } else {
    const opening = open(`qemu:unix:${path}`)
    far = await retryConnect(path)
    opened = await opening
  }
  closers.push(() => far.destroy())
  const failures: string[] = []
  opened.device.onFailure = (error) => failures.push(error.message)
  return { link: opened, far, failures }
}

async function retryConnect(path: string): Promise<StreamSocket> {
  for (;;) {
    const socket = connectSocket(path)
    const connected = await new Promise<boolean>((resolve) => {
      socket.once('connect', () => resolve(true))
      socket.once('error', () => resolve(false))
    })
    if (connected) return socket
  }
}

describe.each(['qemu', 'passt'] as const)('the stream of %s', (kind) => {
  it('carries frames both ways', async () => {
    const { link, far } = await streamEnds(kind)
    const got: Buffer[] = []
    far.on('data', (chunk: Buffer) => got.push(chunk))
    send(link, bytes(60))
    send(link, bytes(1_514, 3))
    far.write(Uint8Array.from([...prefixed(bytes(60, 5)), ...prefixed(bytes(1_514, 6)), ...prefixed(bytes(3))]))
    await receive(link, 2)
    expect(link.frames).toEqual([bytes(60, 5), bytes(1_514, 6)])
    while (Buffer.concat(got).length < 8 + 60 + 1_514) await once(far, 'data')
    expect([...Buffer.concat(got)]).toEqual([...prefixed(bytes(60)), ...prefixed(bytes(1_514, 3))])
    expect(link.counters.drops.frameTooShort).toBe(1)
  })

  it('loses no frame when they come faster than they are taken, beyond what one read brings', async () => {
    const { link, far } = await streamEnds(kind)
    const one = Buffer.from(prefixed(bytes(1_514)))
    const sent = 2_000
    let next = 0
    const pump = (): void => {
      while (next++ < sent && far.write(one));
    }
    far.on('drain', pump)
    pump()
    let taken = 0
    while (taken + link.counters.drops.inputFull < sent) {
      await readable(link.device)
      taken += link.device.drain(8)
    }
    expect(link.counters.drops.inputFull).toBe(0)
    expect(link.frames.length).toBe(sent)
  })

  it('fails once when the other side goes away, and drops what is sent afterwards', async () => {
    const { link, far, failures } = await streamEnds(kind)
    far.destroy()
    while (failures.length === 0) await new Promise(setImmediate)
    expect(failures).toEqual([expect.stringMatching(/the other side closed the connection.*To mend it/)])
    expect(send(link, bytes(60))).toBe(false)
    expect(link.counters.drops.deviceDown).toBe(1)
  })

  it('fails when it brings a length that no frame has', async () => {
    const { far, failures } = await streamEnds(kind)
    far.write(Uint8Array.from([0x47, 0x45, 0x54, 0x20]))
    while (failures.length === 0) await new Promise(setImmediate)
    expect(failures).toEqual([expect.stringMatching(/a length that no frame has/)])
  })
})

describe('a link to nobody', () => {
  it('says what to start: passt', () =>
    expect(open('passt:/nonexistent/passt.sock')).rejects.toThrow(
      /there is no such socket\. To mend it: passt --socket/,
    ))

  it('says what to start: QEMU', () =>
    expect(open('qemu:127.0.0.1:1')).rejects.toThrow(/nobody listens there\. To mend it: qemu-system/))

  it('says that mem has no device', () => expect(open('mem')).rejects.toThrow(/stays inside the process/))

  it('does nothing when it is closed twice', () => {
    const pool = testPool()
    const socket = connectSocket({ port: 1, host: '127.0.0.1' })
    socket.on('error', () => {})
    const { device } = collect(
      new StreamLink(socket, { name: 's', pool, counters: new Counters(), mend: '' }),
      new Counters(),
      pool,
    )
    device.close()
    device.close()
    expect(device.drain(1)).toBe(0)
  })
})
