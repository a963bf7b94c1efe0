// Captures on their way to a file and back: CaptureFile and the dump.

import { closeSync, mkdtempSync, openSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join as joinPath } from 'node:path'
import { fc, test } from '@fast-check/vitest'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { LINK_ETHERNET } from '../../src/capture/pcapng-format.ts'
import { readCapture } from '../../src/capture/pcapng-reader.ts'
import { PcapngWriter } from '../../src/capture/pcapng-writer.ts'
import { EnvironmentError, UsageError } from '../../src/errors.ts'
import { CaptureFile } from '../../src/node/capture-file.ts'
import { type DumpObject, dumpLines, dumpObjects, nameLines, printable, readCaptureFile } from '../../src/node/dump.ts'
import { arp, HOST_A, HOST_B, pattern } from './frames.ts'
import { GOLDEN, GOLDEN_SECONDS, goldenPath } from './golden.ts'

let folder = ''
beforeAll(() => {
  folder = mkdtempSync(joinPath(tmpdir(), 'hourglass-files-'))
})
afterAll(() => rmSync(folder, { recursive: true }))

function record(writer: PcapngWriter, bytes: Uint8Array, comment = ''): void {
  const { length } = bytes
  const at = writer.packet({
    interfaceId: 0,
    seconds: 0,
    nanos: 0,
    capturedLength: length,
    originalLength: length,
    direction: 'in',
    comment,
  })
  if (at >= 0) writer.bytes.set(bytes, at)
}

function opened(name: string) {
  const writer = new PcapngWriter()
  const path = joinPath(folder, name)
  const file = CaptureFile.open(path, writer)
  writer.addInterface('eth0', LINK_ETHERNET)
  const recorded = (): string[] =>
    [...readCapture(readFileSync(path))].map((item) =>
      item.kind === 'packet' ? `packet ${item.bytes.length}` : item.kind,
    )
  return { writer, path, file, recorded }
}

async function linesOf(path: string, options: Parameters<typeof dumpLines>[1] = {}): Promise<string[]> {
  const lines: string[] = []
  for await (const line of dumpLines(path, options)) lines.push(line)
  return lines
}

describe('CaptureFile', () => {
  it('writes in the background, one write at a time, and flush() waits for what was recorded before it', async () => {
    const { writer, file, recorded } = opened('background.pcapng')
    record(writer, pattern(60))
    await file.flush()
    expect(recorded()).toEqual(['section', 'interface', 'packet 60'])
    for (let index = 0; index < 200; index++) record(writer, pattern(1_000))
    const flushed = file.flush()
    record(writer, pattern(61))
    await flushed
    expect(recorded().length).toBeGreaterThanOrEqual(203)
    await file.close()
    expect(recorded().slice(3)).toEqual([...new Array(200).fill('packet 1000'), 'packet 61'])
    await file.close()
  })

  it('never lets a slow disk hold back or lose what fits: bursts between turns of the event loop all arrive', async () => {
    const { writer, file, recorded } = opened('bursts.pcapng')
    for (let turn = 0; turn < 50; turn++) {
      for (let index = 0; index < 40; index++) record(writer, pattern(100))
      await new Promise(setImmediate)
    }
    await file.close()
    expect(writer.droppedRecords).toBe(0)
    expect(recorded()).toEqual(['section', 'interface', ...new Array(2_000).fill('packet 100')])
  })

  it('flushSync() writes everything at once, also while a write is under way', async () => {
    const { writer, file, recorded } = opened('sync.pcapng')
    record(writer, pattern(10))
    expect(file.flushSync()).toBe(true)
    expect(recorded()).toEqual(['section', 'interface', 'packet 10'])
    for (let round = 0; round < 20; round++) {
      record(writer, pattern(100 + round))
      // The turn starts an asynchronous write of it; what follows comes behind.
      await new Promise(setImmediate)
      record(writer, pattern(200 + round))
      expect(file.flushSync()).toBe(true)
      record(writer, pattern(300 + round))
      expect(recorded().slice(-2)).toEqual([`packet ${100 + round}`, `packet ${200 + round}`])
      await file.flush()
    }
    await file.close()
    const sizes = Array.from({ length: 20 }, (_, round) => [100 + round, 200 + round, 300 + round]).flat()
    expect(recorded().slice(3)).toEqual(sizes.map((size) => `packet ${size}`))
    expect(file.flushSync()).toBe(false)
  })

  it.each([
    ['/no/such/directory/x.pcapng', 'there is no such directory'],
    [tmpdir(), 'it is a directory'],
  ])('says of the path %s what is wrong with it and how to mend it', (path, why) => {
    expect(() => CaptureFile.open(path, new PcapngWriter())).toThrow(UsageError)
    expect(() => CaptureFile.open(path, new PcapngWriter())).toThrow(why)
  })

  it('turns a full disk into one clear error, and recording goes on harmlessly', async () => {
    const writer = new PcapngWriter({ limitBytes: 10_000 })
    const file = CaptureFile.open('/dev/full', writer)
    writer.addInterface('eth0', LINK_ETHERNET)
    const failures: EnvironmentError[] = []
    file.onFailure = (error) => failures.push(error)
    await expect(file.flush()).rejects.toThrow('cannot write the capture to /dev/full: the disk is full')
    for (let index = 0; index < 100; index++) record(writer, pattern(1_000))
    await expect(file.flush()).rejects.toThrow('the disk is full')
    expect(file.flushSync()).toBe(false)
    await expect(file.close()).rejects.toThrow(EnvironmentError)
    expect(failures).toHaveLength(1)
    expect(writer.pendingBytes).toBeLessThanOrEqual(10_000)
    expect(writer.droppedRecords).toBeGreaterThan(0)
  })

  it('flushSync() on a full disk says so by its result and by onFailure', () => {
    const file = CaptureFile.open('/dev/full', new PcapngWriter())
    let failures = 0
    file.onFailure = () => failures++
    expect(file.flushSync()).toBe(false)
    expect(failures).toBe(1)
    return expect(file.close()).rejects.toThrow('the disk is full')
  })
})

describe('the dump', () => {
  it('prints time of day, device, direction, the packet, and comments at the end', async () => {
    expect(await linesOf(goldenPath('udp-drops.pcapng'))).toEqual([
      '12:34:56.123456 host-a Out IP 10.0.0.1.40000 > 10.0.0.2.50000: UDP, length 5',
      '12:34:56.123556 host-b In  IP 10.0.0.1.40000 > 10.0.0.2.50000: UDP, length 5',
      '12:34:56.123656 host-a Out IP 10.0.0.1.40000 > 10.0.0.2.50000: UDP, length 4  # dropped: faultLoss',
      '12:34:56.123756 host-a Out IP6 fd00::1.40000 > fd00::2.50000: UDP, length 9',
      '12:34:56.123856 host-b In  IP6 fd00::1.40000 > fd00::2.50000: UDP, length 9  # delayed 3 ms  # dropped: udpReceiveQueueFull',
      '12:34:56.123956 host-a Out IP 10.0.0.1.40000 > 10.0.0.2.50000: UDP, length 3  # Überlänge ✓ 時',
    ])
  })

  it('prints times relative to the first packet, none at all, and no more packets than asked for', async () => {
    const path = goldenPath('ping4.pcapng')
    const first = 'eth0 Out ARP, Request who-has 10.0.0.2 tell 10.0.0.1, length 28  # who has the next hop'
    const second = 'eth0 In  ARP, Reply 10.0.0.2 is-at 02:00:00:00:00:0b, length 28'
    expect(await linesOf(path, { time: 'relative', count: 2 })).toEqual([`0.000000 ${first}`, `0.000100 ${second}`])
    expect(await linesOf(path, { time: 'none', count: 1 })).toEqual([first])
    expect(await linesOf(path, { count: 0 })).toEqual([])
  })

  it('counts TCP sequence numbers from the start of the connection, unless told otherwise', async () => {
    const path = goldenPath('tcp-handshake.pcapng')
    expect((await linesOf(path))[3]).toContain('seq 1:19, ack 1,')
    expect((await linesOf(path, { absoluteSequence: true }))[3]).toContain('seq 4294967281:3, ack 1001,')
  })

  it('gives objects with all there is', async () => {
    const objects: DumpObject[] = []
    for await (const object of dumpObjects(goldenPath('udp-drops.pcapng'))) objects.push(object)
    expect(objects).toHaveLength(6)
    expect(objects[4]).toEqual({
      number: 5,
      time: `${GOLDEN_SECONDS}.123856793`,
      interface: 'host-b',
      direction: 'in',
      length: 71,
      capturedLength: 71,
      text: 'IP6 fd00::1.40000 > fd00::2.50000: UDP, length 9',
      comments: ['delayed 3 ms', 'dropped: udpReceiveQueueFull'],
      dropCount: 0,
      malformed: false,
    })
  })

  it('shows the names of hosts that a capture holds', async () => {
    const lines: string[] = []
    for await (const item of readCaptureFile(goldenPath('ping6.pcapng'))) {
      if (item.kind === 'names') lines.push(...nameLines(item))
    }
    expect(lines).toEqual(['10.0.0.1 host-a.sim', '10.0.0.2 host-b.sim', 'fd00::1 host-a.sim', 'fd00::2 host-b.sim'])
  })

  it('prints what it can of a capture that is cut off, then [malformed], as line and as object', async () => {
    const path = joinPath(folder, 'cut.pcapng')
    const whole = readFileSync(goldenPath('ping4.pcapng'))
    writeFileSync(path, whole.subarray(0, whole.length - 3))
    const lines = await linesOf(path)
    expect(lines).toHaveLength(6)
    expect(lines[5]).toMatch(/^\[malformed\] at byte \d+: the capture ends inside a record$/)
    const objects: DumpObject[] = []
    for await (const object of dumpObjects(path)) objects.push(object)
    expect(objects.map(({ number, malformed }) => `${number} ${malformed}`)).toEqual([
      ...[1, 2, 3, 4, 5].map((number) => `${number} false`),
      '0 true',
    ])
  })

  it('lets no comment or name move the cursor of a terminal', async () => {
    const { writer, file, path } = opened('escape.pcapng')
    record(writer, arp(1, HOST_A, HOST_B), '\u001b[2Jgone\nsecond\u202eline')
    await file.close()
    expect((await linesOf(path))[0]).toMatch(/ {2}# \\x1b\[2Jgone \/ second\\x202eline$/)
    expect(printable('a\u0007b\u009bc')).toBe('a\\x07b\\x9bc')
  })

  it('says how many packets are missing where the capture could not keep up', async () => {
    const writer = new PcapngWriter({ limitBytes: 4_000 })
    const path = joinPath(folder, 'lost.pcapng')
    writer.addInterface('eth0', LINK_ETHERNET)
    for (let index = 0; index < 10; index++) record(writer, pattern(2_000))
    const parts = [writer.take().slice()]
    record(writer, arp(1, HOST_A, HOST_B))
    writeFileSync(path, Buffer.concat([...parts, writer.take()]))
    expect((await linesOf(path)).at(-1)).toMatch(/ {2}# 9 packets before this one were not recorded$/)
  })

  it('reports a file that is not there, and one that is no capture', async () => {
    await expect(linesOf(joinPath(folder, 'nothing'))).rejects.toThrow(UsageError)
    expect(await linesOf(import.meta.filename)).toEqual(['[malformed] at byte 0: neither a pcapng nor a pcap capture'])
    const empty = joinPath(folder, 'empty')
    closeSync(openSync(empty, 'w'))
    expect(await linesOf(empty)).toEqual(['[malformed] at byte 0: too short for a capture'])
  })

  test.prop(
    [
      fc.constantFrom(...GOLDEN),
      fc.array(fc.record({ at: fc.nat(1_000), value: fc.nat(255) }), { minLength: 1, maxLength: 20 }),
    ],
    { numRuns: 300 },
  )('never throws on a mutated capture: all lines are printable', async ({ make }, mutations) => {
    const bytes = make()
    for (const { at, value } of mutations) if (at < bytes.length) bytes[at] = value
    const path = joinPath(folder, 'mutated.pcapng')
    writeFileSync(path, bytes)
    for (const time of ['absolute', 'relative'] as const) {
      for (const line of await linesOf(path, { time, verbose: true, link: true })) expect(line).toBe(printable(line))
    }
  })
})
