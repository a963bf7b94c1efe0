// Linux with an option of TCP switched off, or with one on that we do not speak: both agree on what is left, and transfers go on
// as before, in both directions and from whichever side connects, also where segments are lost.

import { afterAll, describe, expect, it } from 'vitest'
import { TcpSocket } from '../../src/socket/tcp-socket.ts'
import { OPTION_SACK, OPTION_TIMESTAMPS, OPTION_WINDOW_SCALE, tcpInfo } from '../../src/tcp/info.ts'
import { download, MIB, UploadFiles, upload } from '../support/curl.ts'
import { Captures, countPackets } from '../support/hourglass.ts'
import { serveHttp } from '../support/http-server.ts'
import { type Namespace, needRoot } from '../support/namespace.ts'
import { digestOf } from '../support/pseudo-random.ts'
import { listening, readStream, sendStream } from '../support/socket-streams.ts'
import { type Family, linux, type TapHost, withTapHost } from '../support/tap-host.ts'
import { tcpdump } from '../support/tcpdump.ts'
import { needTool } from '../support/tools.ts'
import { withWatchedHost } from '../support/watched-host.ts'

const root = needRoot()
const tools = ['curl', 'nc', 'tshark', 'tcpdump', 'ss'].every(needTool)
const files = new UploadFiles()
const captures = new Captures()
afterAll(() => {
  files.remove()
  captures.remove()
})

const FAMILIES: readonly Family[] = [4, 6]
const SIZE = 2 * MIB
const PORT = 5_000
const ALL = OPTION_TIMESTAMPS | OPTION_SACK | OPTION_WINDOW_SCALE
const NONE_OF_THEM = ['tcp_sack=0', 'tcp_timestamps=0', 'tcp_window_scaling=0']

/** We connect to nc on Linux, send, and are told what arrived; then the other way round. Returns the options agreed on. */
async function talkToNc({ stack }: TapHost, namespace: Namespace, family: Family): Promise<number[]> {
  const options: number[] = []
  const dial = async (): Promise<TcpSocket> => {
    const socket = await TcpSocket.connect(stack, { remoteAddress: linux(family), remotePort: PORT })
    options.push(tcpInfo(socket.connection, stack.tcp.config, stack.clock.now()).options)
    return socket
  }
  const taking = await listening(namespace, `nc -n -v -${family} -l ${PORT} < /dev/null | sha256sum`)
  const to = await dial()
  await sendStream(to, 2, SIZE)
  to.shutdown()
  expect((await taking.finished).stdout.split(' ')[0]).toBe(digestOf(2, SIZE))
  to.close()
  await listening(namespace, `nc -n -v -${family} -l -N ${PORT} < ${files.path(3, SIZE)}`)
  const from = await dial()
  expect(await readStream(from)).toEqual({ bytes: SIZE, sha256: digestOf(3, SIZE) })
  from.close()
  return options
}

/** All four ways to carry bytes, with Linux set as told. Returns the options of each connection. */
async function exchange(host: TapHost, namespace: Namespace, settings: readonly string[]): Promise<number[]> {
  for (const setting of settings) await namespace.must(`sysctl -q -w net.ipv4.${setting}`)
  const server = serveHttp(host.stack)
  const options: number[] = []
  for (const family of FAMILIES) {
    await download(namespace, server, family, SIZE, family)
    await upload(namespace, server, family, SIZE, 1, files)
    options.push(...(await talkToNc(host, namespace, family)))
  }
  return [...server.infos.map((info) => info.options), ...options]
}

describe.skipIf(!root || !tools).concurrent('a kernel', () => {
  it.each<[string, readonly string[], number]>([
    ['as it is', [], ALL],
    ['without SACK', ['tcp_sack=0'], ALL & ~OPTION_SACK],
    ['without time stamps', ['tcp_timestamps=0'], ALL & ~OPTION_TIMESTAMPS],
    ['without window scaling', ['tcp_window_scaling=0'], ALL & ~OPTION_WINDOW_SCALE],
    ['without any of the three', NONE_OF_THEM, 0],
    ['that sends with NewReno', ['tcp_congestion_control=reno'], ALL],
    ['that probes for its path MTU all the time', ['tcp_mtu_probing=2', 'tcp_base_mss=512'], ALL],
  ])('%s agrees with us on what is left, and all arrives both ways', (_what, settings, options) =>
    withWatchedHost(captures, {}, async (host, namespace) => {
      const agreed = await exchange(host, namespace, settings)
      expect(agreed).toEqual(Array(4 * FAMILIES.length).fill(options))
      expect(host.stack.counters.TcpExtTCPTimeouts).toBe(0)
    }),
  )

  it.each<[string, readonly string[]]>([
    ['without SACK', ['tcp_sack=0']],
    ['without D-SACK', ['tcp_dsack=0']],
    ['without time stamps', ['tcp_timestamps=0']],
    ['without any option', NONE_OF_THEM],
  ])('%s loses no byte to the loss of 1 % of all packets', (_what, settings) => {
    const faults = { outbound: { loss: 0.01 }, inbound: { loss: 0.01 } }
    return withWatchedHost(captures, { offload: false, faults }, async (host, namespace) => {
      await exchange(host, namespace, ['tcp_congestion_control=reno', ...settings])
      expect(host.stack.counters.TcpRetransSegs).toBeGreaterThan(50)
    })
  })

  it('that asks for explicit congestion notification does without (RFC 3168 §6.1.1)', () => {
    const capture = captures.path()
    return withTapHost({ capture }, async (host, namespace) => {
      const seen = await tcpdump(namespace, captures.path(true))
      await exchange(host, namespace, ['tcp_ecn=1'])
      await seen()
      await host.stop()
      const asked = 'tcp.flags == 0x0c2'
      expect(countPackets(capture, asked)).toBeGreaterThanOrEqual(2 * FAMILIES.length)
      // Ours have neither ECE nor CWR, and no packet of anybody's is marked.
      expect(countPackets(capture, '(tcp.flags & 0x0c0) && frame.packet_flags_direction == 2')).toBe(0)
      expect(countPackets(capture, `(tcp.flags & 0x0c0) && !(${asked})`)).toBe(0)
      expect(countPackets(capture, 'tcp && (ip.dsfield.ecn != 0 || ipv6.tclass.ecn != 0)')).toBe(0)
    })
  })
})

describe.skipIf(!root || !needTool('tshark'))('every capture of the tests in tcp-options.test.ts', () => {
  it('is read by tshark to its end, without a malformed packet or a wrong checksum', () => {
    const { files, wrong } = captures.check()
    expect(wrong).toEqual([])
    expect(files).toBe(2 * 12)
  })
})
