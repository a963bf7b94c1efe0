// Two accounts of the same connections: what `hourglass up` prints at its end and what `hourglass ss -ti` tells in between, beside
// nstat(8) and ss(8) on Linux's side. Nothing is lost on a TAP unless somebody drops it, and then it is known how much: so the
// figures are equal, and each equation says which and why.

import { createHash } from 'node:crypto'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, describe, expect, it } from 'vitest'
import { ask } from '../../src/node/control/ask.ts'
import type { CounterRow, SocketState } from '../../src/node/control/host-state.ts'
import { chargenLines, PRINTING } from '../../src/node/services.ts'
import { LONG, MIB } from '../support/curl.ts'
import { Captures, command, type Up, up } from '../support/hourglass.ts'
import { type Figures, nstat, ruleCount, socketFigures } from '../support/kernel-figures.ts'
import { connect, type Namespace, needRoot, type Running, withNamespace } from '../support/namespace.ts'
import { DEVICE, type Family, LINUX4, LINUX6, ours, US4, US6 } from '../support/tap-host.ts'
import { tcpdump } from '../support/tcpdump.ts'
import { needTool } from '../support/tools.ts'

const root = needRoot()
const tools = ['nc', 'nstat', 'ss', 'nft', 'ethtool', 'tshark', 'tcpdump'].every(needTool)
const captures = new Captures()
const folder = mkdtempSync(join(tmpdir(), 'hourglass-counters-'))
afterAll(() => {
  captures.remove()
  rmSync(folder, { recursive: true })
})

const FAMILIES: readonly Family[] = [4, 6]
const ADDRESSES = `--address ${US4}/24 --address ${US6}/64 --os-address ${LINUX4}/24 --os-address ${LINUX6}/64`
const PORTS = { echo: 7, discard: 9, chargen: 19 }
/** Long runs take and give a GiB each, and are not captured. */
const AMOUNTS: Readonly<Record<Family, number>> = LONG
  ? { 4: 1_024 * MIB, 6: 1_024 * MIB }
  : { 4: 32 * MIB, 6: 4 * MIB }
const HARMED = (LONG ? 64 : 4) * MIB
const ECHOED = MIB
const PATIENCE_MILLIS = 100_000

/** Of a connection, as both sides' ss has them; what ss leaves out is zero. */
const COUNTS = [
  'bytes_sent',
  'bytes_retrans',
  'bytes_acked',
  'bytes_received',
  'segs_out',
  'segs_in',
  'data_segs_out',
  'data_segs_in',
  'retrans',
  'unacked',
] as const
type Counts = Readonly<Record<(typeof COUNTS)[number], number>>

interface Scene {
  /** Where Linux's end of the connections is. */
  readonly namespace: Namespace
  readonly host: Up
  readonly offloads: boolean
  /** The host's control socket. */
  readonly control: string
  /** Segments that were dropped between the two so far. */
  lost(): Promise<Lost>
}

interface Lost {
  readonly toUs: number
  readonly toLinux: number
}

/** What happened so far between the two: segments dropped, and sent again by each. */
interface Sums extends Lost {
  readonly byLinux: number
  readonly byUs: number
}

/** What the host tells `hourglass nstat` and `hourglass ss`. */
async function rowsOf<Row>({ control }: Scene, show: 'counters' | 'sockets'): Promise<Row[]> {
  const rows: Row[] = []
  for await (const row of ask(control, { show, info: false })) rows.push(row as Row)
  return rows
}

const sums = async (scene: Scene): Promise<Sums> => ({
  ...(await scene.lost()),
  byLinux: (await nstat(scene.namespace)).TcpRetransSegs!,
  byUs: (await rowsOf<CounterRow>(scene, 'counters')).find(({ name }) => name === 'TcpRetransSegs')!.count,
})

/** Our host in a namespace, beside Linux's end. */
const direct = (offloads: boolean, body: (scene: Scene) => Promise<void>): Promise<void> =>
  withNamespace(async (namespace) => {
    const { host, control } = await bringUp(namespace, offloads ? '' : '--no-offload')
    await body({
      namespace,
      host,
      offloads,
      control,
      lost: async () => ({ toUs: await refused(namespace), toLinux: 0 }),
    })
  })

/** A router of Linux's between the two, by which each hundredth segment is lost. */
const harmed = (body: (scene: Scene) => Promise<void>): Promise<void> =>
  withNamespace((router) =>
    withNamespace(async (namespace) => {
      const { host, control } = await bringUp(router, `--no-offload --gateway ${LINUX4} --gateway ${LINUX6}`)
      await connect(
        { namespace: router, device: 'near', addresses: ['10.78.0.1/24', 'fd78::1/64'] },
        { namespace, device: 'far', addresses: ['10.78.0.2/24', 'fd78::2/64'] },
      )
      // What is lost shall be a segment, not the 64 KiB that Linux hands on as one.
      await router.must('ethtool -K near tso off gso off gro off')
      await namespace.must('ethtool -K far tso off gso off gro off')
      await router.must('sysctl -q -w net.ipv4.ip_forward=1 net.ipv6.conf.all.forwarding=1')
      for (const gateway of ['10.78.0.1', 'fd78::1']) await namespace.must(`ip route add default via ${gateway}`)
      await router.must('nft add table inet harm')
      for (const [chain, way] of [
        ['to_us', 'oifname'],
        ['to_linux', 'iifname'],
      ]) {
        await router.must(['nft', `add chain inet harm ${chain} { type filter hook forward priority 0; }`])
        const which = `${way} ${DEVICE} meta l4proto tcp numgen inc mod 100 == 50`
        await router.must(`nft add rule inet harm ${chain} ${which} counter drop`)
      }
      const seen = LONG ? null : await tcpdump(router, captures.path())
      const lost = async (): Promise<Lost> => ({
        toUs: (await ruleCount(router, 'to_us')) + (await refused(router)),
        toLinux: await ruleCount(router, 'to_linux'),
      })
      await body({ namespace, host, offloads: false, control, lost })
      await seen?.()
    }),
  )

async function bringUp(namespace: Namespace, words: string): Promise<Pick<Scene, 'host' | 'control'>> {
  const control = join(folder, namespace.name)
  const link = `--link tap:${DEVICE} ${ADDRESSES} --serve discard,echo,chargen --control ${control}`
  const host = await up(namespace, `${link} ${words} ${LONG ? '' : `--capture ${captures.path()}`}`)
  return { host, control }
}

/** What Linux's side of the TAP could not hand us, as its queue was full. */
async function refused(namespace: Namespace): Promise<number> {
  const printed = await namespace.must(`ip -s -j link show ${DEVICE}`)
  const [device] = JSON.parse(printed) as [{ stats64: { tx: { dropped: number } } }]
  return device.stats64.tx.dropped
}

const countsOf = (figures: Figures): Counts =>
  Object.fromEntries(COUNTS.map((name) => [name, figures[name] ?? 0])) as Counts

const linuxCounts = async ({ namespace }: Scene, port: number): Promise<Counts> =>
  countsOf(socketFigures(await namespace.must(`ss -tinH dport = :${port}`), port))

const ourCounts = async ({ control, namespace }: Scene, port: number): Promise<Counts> =>
  countsOf(socketFigures(await namespace.must(command(`ss -tiH --control ${control}`)), port))

/** Between two looks at a program that gives no sign when it is done. */
const aMoment = (): Promise<void> => new Promise((resolve) => setTimeout(resolve, 30))

/** Both accounts of the connection to that port of ours, at a moment at which nothing changes and nothing is on its way. */
async function atRest(scene: Scene, port: number, isDone: (linux: Counts) => boolean) {
  for (const patience = performance.now() + PATIENCE_MILLIS; ; await aMoment()) {
    const linux = await linuxCounts(scene, port)
    const isQuiet = isDone(linux) && linux.unacked === 0
    if (isQuiet) {
      const hourglass = await ourCounts(scene, port)
      const all = await sums(scene)
      const again = await linuxCounts(scene, port)
      const isSame = COUNTS.every((name) => linux[name] === again[name])
      if (isSame && hourglass.unacked === 0) return { linux, hourglass, all }
    }
    if (performance.now() > patience) throw new Error(`no rest: ${JSON.stringify({ port, linux })}`)
  }
}

/** A shell line whose last word is up to us: it goes on when its standard input ends. */
const start = ({ namespace }: Scene, line: string): Running => namespace.spawn(['sh', '-c', `exec 3<&0; ${line}`])
const goOn = async (running: Running): Promise<void> => {
  running.child.stdin.end()
  await running.finished
}

/** Linux sends all, and says nothing more until both accounts were compared. */
async function take(scene: Scene, family: Family, bytes: number): Promise<void> {
  await allOver(scene)
  const before = await sums(scene)
  const nc = start(scene, `{ head -c ${bytes} /dev/zero; cat <&3; } | nc -n -N ${ours(family)} ${PORTS.discard}`)
  await connected(scene, PORTS.discard)
  const isDone = (linux: Counts): boolean => linux.bytes_acked > bytes
  const { linux, hourglass, all } = await atRest(scene, PORTS.discard, isDone)
  report(`${bytes} bytes taken over IPv${family}`, linux, hourglass)
  expect(linux.bytes_sent - linux.bytes_retrans).toBe(bytes)
  // Its SYN is a byte as well.
  expect(linux.bytes_acked).toBe(bytes + 1)
  expect(hourglass.bytes_received).toBe(bytes)
  expect([hourglass.bytes_sent, linux.bytes_received]).toEqual([0, 0])
  expectSegments(scene, linux, hourglass, all, before)
  if (all.toUs === before.toUs) expect(hourglass.data_segs_in).toBe(linux.data_segs_out)
  await goOn(nc)
}

/** Linux reads so many bytes and then no more: the window shuts, and both accounts come to rest. */
async function give(scene: Scene, family: Family, bytes: number): Promise<void> {
  await allOver(scene)
  const before = await sums(scene)
  const reader = `{ head -c ${bytes} | sha256sum; cat 4<&0 <&3; }`
  const nc = start(scene, `nc -n ${ours(family)} ${PORTS.chargen} < /dev/null | ${reader}`)
  const [, digest] = await nc.printed(/^([0-9a-f]{64}) /m, PATIENCE_MILLIS)
  expect(digest).toBe(chargenDigest(bytes))
  const isDone = (linux: Counts): boolean => linux.bytes_received >= bytes
  const { linux, hourglass, all } = await atRest(scene, PORTS.chargen, isDone)
  report(`${bytes} bytes given over IPv${family}`, linux, hourglass)
  expect(hourglass.bytes_acked).toBe(linux.bytes_received)
  expect(hourglass.bytes_sent - hourglass.bytes_retrans).toBe(linux.bytes_received)
  // Its SYN alone.
  expect([linux.bytes_sent, linux.bytes_acked, hourglass.bytes_received]).toEqual([0, 1, 0])
  expectSegments(scene, linux, hourglass, all, before)
  if (!scene.offloads && all.toLinux === before.toLinux) expect(linux.data_segs_in).toBe(hourglass.data_segs_out)
  await goOn(nc)
}

/** Each segment that one side sent, the other one received. Linux does not know how many are in a super-segment that a TAP brought. */
function expectSegments(scene: Scene, linux: Counts, hourglass: Counts, all: Sums, before: Sums): void {
  expect(hourglass.segs_in).toBe(linux.segs_out - (all.toUs - before.toUs))
  // Of a connection that a listener makes, the SYN-ACK is not counted, neither by Linux nor by us.
  const reached = hourglass.segs_out + 1 - (all.toLinux - before.toLinux)
  if (scene.offloads) expect(linux.segs_in).toBeLessThanOrEqual(reached)
  else expect(linux.segs_in).toBe(reached)
  // It is the only connection: what the host sent again, this one did.
  expect(linux.retrans).toBe(all.byLinux - before.byLinux)
  expect(hourglass.retrans).toBe(all.byUs - before.byUs)
}

async function connected(scene: Scene, port: number): Promise<void> {
  for (const patience = performance.now() + PATIENCE_MILLIS; ; await aMoment()) {
    const printed = await scene.namespace.must(`ss -tnH state established dport = :${port}`)
    if (printed !== '') return
    if (performance.now() > patience) throw new Error(`no connection to the port ${port}`)
  }
}

function chargenDigest(bytes: number): string {
  const hash = createHash('sha256')
  const lines = chargenLines(0, 100 * PRINTING)
  for (let left = bytes; left > 0; left -= lines.length) hash.update(lines.subarray(0, Math.min(left, lines.length)))
  return hash.digest('hex')
}

/** Bytes there and back, each as it was. */
async function echo({ namespace }: Scene, family: Family): Promise<void> {
  const line = `head -c ${ECHOED} /dev/zero | nc -n -N ${ours(family)} ${PORTS.echo} | sha256sum`
  const told = await namespace.must(['sh', '-c', line], PATIENCE_MILLIS)
  const zeros = createHash('sha256').update(new Uint8Array(ECHOED)).digest('hex')
  expect(told.split(' ')[0]).toBe(zeros)
}

/** Waits until both sides have heard of the end of every connection, so that nobody counts or loses anything of it any more. */
async function allOver(scene: Scene): Promise<void> {
  for (const patience = performance.now() + PATIENCE_MILLIS; ; await aMoment()) {
    const rows = await rowsOf<SocketState>(scene, 'sockets')
    const left = rows.filter(({ protocol, state }) => protocol === 'tcp' && state !== 'LISTEN' && state !== 'TIME-WAIT')
    const linux = await scene.namespace.must('ss -tnH state all exclude listening exclude time-wait')
    if (left.length === 0 && linux === '') return
    if (performance.now() > patience) throw new Error(`not over: ${JSON.stringify(left)}`)
  }
}

/** The long run shows its figures. */
function report(what: string, linux: Counts, hourglass: Counts): void {
  if (LONG) console.info(what, JSON.stringify({ linux, hourglass }))
}

describe.skipIf(!root || !tools)('the counters of hourglass up and those of Linux on the other side', () => {
  it.each([
    ['with offloads', true],
    ['without', false],
  ])('agree on each segment and octet taken by discard, given by chargen and echoed, %s', (_how, offloads) =>
    direct(offloads, async (scene) => {
      for (const family of FAMILIES) {
        await take(scene, family, AMOUNTS[family])
        await give(scene, family, AMOUNTS[family])
        await echo(scene, family)
      }
      await allOver(scene)
      const linux = await nstat(scene.namespace)
      const { toUs } = await scene.lost()
      const { counters } = (await scene.host.stop()).end
      const count = (name: string): number => counters[name] ?? 0
      if (LONG) console.info(JSON.stringify({ linux, counters }))
      // What is sent again is no part of what was sent (RFC 4022), but arrives as well.
      expect(count('TcpInSegs')).toBe(linux.TcpOutSegs! + linux.TcpRetransSegs! - toUs)
      const sentSegments = count('TcpOutSegs') + count('TcpRetransSegs')
      if (offloads) {
        // A super-segment is one packet on both sides. All that passes is TCP, but for what ICMPv6 counts.
        const sentPackets = count('IpOutRequests') + count('Ip6OutRequests') - count('Icmp6OutMsgs')
        expect(linux.TcpInSegs).toBe(sentPackets)
        expect(linux.TcpInSegs).toBeLessThan(sentSegments)
        expect(linux.IpInReceives).toBe(count('IpOutRequests'))
        expect(linux.IpOutRequests).toBe(count('IpInReceives'))
        expect(linux.IpExtOutOctets).toBe(count('IpExtInOctets'))
      } else {
        // Linux and we count what IP sends before it is cut, but what arrives is segments.
        expect(linux.TcpInSegs).toBe(sentSegments)
      }
      expect(linux.IpExtInOctets).toBe(count('IpExtOutOctets'))
      expect(count('TcpPassiveOpens')).toBe(3 * FAMILIES.length)
      expect(linux.TcpActiveOpens).toBe(3 * FAMILIES.length)
      // nc that is stopped with bytes unread resets the connection.
      expect(linux.TcpEstabResets).toBe(FAMILIES.length)
      expect(count('TcpEstabResets')).toBe(FAMILIES.length)
      expect([linux.TcpInErrs, count('TcpInErrs')]).toEqual([0, 0])
    }),
  )

  it('agree on what was sent again where each hundredth segment is lost, either way', () =>
    harmed(async (scene) => {
      for (const family of FAMILIES) {
        await take(scene, family, HARMED)
        await give(scene, family, HARMED)
      }
      await allOver(scene)
      const linux = await nstat(scene.namespace)
      const { toUs, toLinux } = await scene.lost()
      const { counters } = (await scene.host.stop()).end
      const count = (name: string): number => counters[name] ?? 0
      expect(count('TcpInSegs')).toBe(linux.TcpOutSegs! + linux.TcpRetransSegs! - toUs)
      expect(linux.TcpInSegs).toBe(count('TcpOutSegs') + count('TcpRetransSegs') - toLinux)
      // What was lost of the data was sent again, each segment of it.
      const least = (FAMILIES.length * HARMED) / 1_500 / 100
      expect(count('TcpRetransSegs')).toBeGreaterThan(least)
      expect(linux.TcpRetransSegs).toBeGreaterThan(least)
    }))
})

describe.skipIf(!root || !tools)('every capture of the tests in tcp-counters.test.ts', () => {
  it('is read by tshark to its end, without a malformed packet or a wrong checksum', () => {
    const { files, wrong } = captures.check()
    expect(wrong).toEqual([])
    expect(files).toBe(LONG ? 0 : 4)
  })
})
