import { spawnSync } from 'node:child_process'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { describeFrame } from '../../src/wire/describe.ts'
import { TcpFlows } from '../../src/wire/describe-tcp.ts'
import { ACK, FIN, PSH, SYN } from '../../src/wire/tcp.ts'
import { CORPUS } from './describe-corpus.ts'
import { A4, B4, bytesOf, ip4, overEthernet4, type SegmentFields, tcp, viewOf } from './frames.ts'

const text = (frame: Uint8Array, options: Parameters<typeof describeFrame>[4] = {}): string =>
  describeFrame(viewOf(frame), 0, frame.length, 'ethernet', options)
const corpusFrame = (name: string): Uint8Array => CORPUS.get(name) ?? expect.fail(`no frame ${name}`)

/** Where ours is not tcpdump's text: it runs words together, knows more protocols, or ends without a bracket. */
const OURS = new Map([
  ['arp operation 9', 'ARP, [operation 9], length 28'],
  ['unreachable6 5', 'IP6 fe80::1 > 2001:db8::2: ICMP6, destination unreachable, unknown unreach code (5), length 61'],
  ['unreachable6 6', 'IP6 fe80::1 > 2001:db8::2: ICMP6, destination unreachable, unknown unreach code (6), length 61'],
  ['unreachable6 7', 'IP6 fe80::1 > 2001:db8::2: ICMP6, destination unreachable, unknown unreach code (7), length 61'],
  ['icmp6 200', 'IP6 fe80::1 > 2001:db8::2: ICMP6, unknown icmp6 type (200), length 61'],
  ['mld query', 'IP6 fe80::1 > 2001:db8::2: ICMP6, multicast listener query max resp delay: 10000 addr: ::, length 24'],
  [
    'mld report',
    'IP6 fe80::1 > 2001:db8::2: ICMP6, multicast listener report max resp delay: 0 addr: ff0e::1:2:3, length 24',
  ],
  [
    'mld done',
    'IP6 fe80::1 > 2001:db8::2: ICMP6, multicast listener done max resp delay: 0 addr: ff0e::1:2:3, length 24',
  ],
  ['icmp6 cut', 'IP6 fe80::1 > 2001:db8::2: [|icmp6]'],
  ['igmp cut', 'IP 10.0.0.1 > 239.1.2.3: [|igmp]'],
  [
    'user timeout',
    'IP 10.0.0.1.40000 > 10.0.0.2.7777: Flags [.], ack 0, win 64240, options [uto 0x800a,eol], length 0',
  ],
  ['mss of length 5', 'IP 10.0.0.1.40000 > 10.0.0.2.7777: Flags [S], seq 1000, win 64240, options [mss,[bad opt]]'],
  ['lone kind', 'IP 10.0.0.1.40000 > 10.0.0.2.7777: Flags [S], seq 1000, win 64240, options [nop,nop,nop,[bad opt]]'],
  [
    'fast open',
    'IP 10.0.0.1.40000 > 10.0.0.2.7777: Flags [S], seq 1000, win 64240, options [unknown-34,nop,nop,[bad opt]]',
  ],
  ['udp length 4', 'IP 10.0.0.1.40000 > 10.0.0.2.7777: [bad udp length 4]'],
  ['udp cut', 'IP 10.0.0.1.1 > 10.0.0.2.2: [|udp]'],
  ['protocol 132', 'IP 10.0.0.1 > 10.0.0.2: ip-proto-132 5'],
  ['ip header length 4', 'IP [bad-hlen 16]'],
  ['ip header longer than packet', 'IP [bad-len 33]'],
  ['ip version 5', 'IP [version 5]'],
  ['ip total length too short', 'IP [bad-len 12]'],
  ['ip6 cut', 'IP6 [|ip6]'],
  ['ip6 version 4', 'IP6 [version 4]'],
  ['ip6 routing', 'IP6 fe80::1 > 2001:db8::2: RT6 (len=2, type=0, segleft=1) 40000 > 7777: UDP, length 5'],
  ['ip6 segment routing', 'IP6 fe80::1 > 2001:db8::2: RT6 (len=0, type=253, segleft=0) 40000 > 7777: UDP, length 5'],
  ['unknown ethertype', '[ethertype Unknown (0x88b5), length 19]'],
])

const present = spawnSync('tcpdump', ['--version']).status === 0
const required = process.env.CI === 'true'
if (!present) console.warn('tcpdump is not installed: describe.test.ts does not compare with it')

/** What tcpdump prints of these frames, a line each, with runs of spaces made one. */
function tcpdump(frames: Iterable<Uint8Array>, ...options: string[]): string[] {
  const run = spawnSync('tcpdump', ['-n', '-t', ...options, '-r', '-'], { input: pcap(frames), encoding: 'utf8' })
  expect(run.error).toBeUndefined()
  return run.stdout
    .split('\n')
    .filter((line) => line !== '' && !line.startsWith('\t'))
    .map((line) => line.replace(/ +/g, ' ').trimEnd())
}

function pcap(frames: Iterable<Uint8Array>): Uint8Array {
  const header = Buffer.alloc(24)
  header.writeUInt32LE(0xa1b2_c3d4, 0)
  header.writeUInt16LE(2, 4)
  header.writeUInt16LE(4, 6)
  header.writeUInt32LE(65_535, 16)
  header.writeUInt32LE(1, 20)
  const parts: Uint8Array[] = [header]
  for (const frame of frames) {
    const record = Buffer.alloc(16)
    record.writeUInt32LE(frame.length, 8)
    record.writeUInt32LE(frame.length, 12)
    parts.push(record, frame)
  }
  return Buffer.concat(parts)
}

const forth = (fields: SegmentFields) => overEthernet4(ip4(6, tcp(fields)))
const back = (fields: SegmentFields) =>
  overEthernet4(
    ip4(6, tcp({ sourcePort: 7_777, destinationPort: 40_000, ...fields }, B4, A4), { source: B4, destination: A4 }),
  )
const sack = { sackCount: 1, sackLeft: new Int32Array([0xffff_fff5, 0, 0, 0]), sackRight: new Int32Array([5, 0, 0, 0]) }
const CONVERSATION = [
  forth({ flags: SYN, seq: 0xffff_fff0 }),
  back({ flags: SYN | ACK, seq: 5_000, ack: 0xffff_fff1 }),
  forth({ flags: ACK, seq: 0xffff_fff1, ack: 5_001 }),
  forth({ flags: ACK | PSH, seq: 0xffff_fff1, ack: 5_001, payload: new Uint8Array(30) }),
  back({ flags: ACK, seq: 5_001, ack: 0xffff_fff1, options: sack }),
  back({ flags: ACK | FIN, seq: 5_001, ack: 15 }),
]

describe.skipIf(!present && !required)('beside tcpdump', () => {
  test('every frame of the corpus reads as `tcpdump -n -t -S` prints it', () => {
    const theirs = tcpdump(CORPUS.values(), '-S')
    expect(theirs).toHaveLength(CORPUS.size)
    const pairs = [...CORPUS].map(([name, frame], index) => [name, text(frame), theirs[index]] as const)
    const compared = pairs.filter(([name]) => !OURS.has(name))
    expect(compared.map(([name, ours]) => `${name}: ${ours}`)).toEqual(
      compared.map(([name, , line]) => `${name}: ${line}`),
    )
  })

  test('the Ethernet header reads as `tcpdump -e` prints it', () => {
    const names = ['arp request', 'echo', 'echo6', 'vlan', 'unknown ethertype']
    const frames = names.map(corpusFrame)
    expect(frames.map((frame) => text(frame, { link: true }))).toEqual(tcpdump(frames, '-e', '-S'))
  })

  test('relative sequence numbers, and those of SACK blocks, are those of tcpdump', () => {
    const flows = new TcpFlows()
    expect(CONVERSATION.map((frame) => text(frame, { flows }))).toEqual(tcpdump(CONVERSATION))
  })
})

test('a connection is printed with numbers relative to its SYN', () => {
  const flows = new TcpFlows()
  expect(CONVERSATION.map((frame) => text(frame, { flows }).replace(/^.*: /, ''))).toEqual([
    'Flags [S], seq 4294967280, win 64240, length 0',
    'Flags [S.], seq 5000, ack 4294967281, win 64240, length 0',
    'Flags [.], ack 1, win 64240, length 0',
    'Flags [P.], seq 1:31, ack 1, win 64240, length 30',
    'Flags [.], ack 1, win 64240, options [nop,nop,sack 1 {5:21}], length 0',
    'Flags [F.], seq 1, ack 31, win 64240, length 0',
  ])
  expect(text(CONVERSATION[2]!, { flows, absoluteSequence: true })).toContain('ack 5001,')
})

test.each([...OURS])('%s', (name, line) => {
  expect(text(corpusFrame(name))).toBe(line)
})

test.each([
  ['arp request', 'ARP, Request who-has 10.0.0.2 tell 10.0.0.1, length 28'],
  ['arp reply', 'ARP, Reply 10.0.0.1 is-at 02:00:00:00:00:0a, length 28'],
  [
    'syn',
    'IP 10.0.0.1.40000 > 10.0.0.2.7777: Flags [S], seq 1000, win 64240, options [mss 1460,sackOK,TS val 1 ecr 0,nop,wscale 7], length 0',
  ],
  ['udp', 'IP 10.0.0.1.40000 > 10.0.0.2.7777: UDP, length 5'],
  ['need to fragment 1400', 'IP 10.0.0.1 > 10.0.0.2: ICMP 10.0.0.1 unreachable - need to frag (mtu 1400), length 48'],
  ['neighbor solicitation', 'IP6 fe80::1 > 2001:db8::2: ICMP6, neighbor solicitation, who has 2001:db8::2, length 32'],
  ['ip6 later fragment', 'IP6 fe80::1 > 2001:db8::2: frag (1448|5)'],
  ['igmp v3 report', 'IP 10.0.0.1 > 239.1.2.3: igmp v3 report, 3 group record(s)'],
])('%s, with or without tcpdump at hand', (name, line) => {
  expect(text(corpusFrame(name))).toBe(line)
})

test('verbose adds the fields of the IP header, and the packet that an error quotes', () => {
  expect(text(corpusFrame('unreachable 3'), { verbose: true })).toBe(
    'IP (tos 0x0, ttl 64, id 7, offset 0, flags [DF], proto ICMP (1), length 61) 10.0.0.1 > 10.0.0.2: ' +
      'ICMP 10.0.0.1 udp port 7777 unreachable, length 41 ' +
      'IP (tos 0x0, ttl 64, id 7, offset 0, flags [DF], proto UDP (17), length 33) 10.0.0.2.40000 > 10.0.0.1.7777: UDP, length 5',
  )
  expect(text(corpusFrame('too big'), { verbose: true })).toBe(
    'IP6 (hlim 64, next-header ICMPv6 (58) payload length: 61) fe80::1 > 2001:db8::2: ' +
      'ICMP6, packet too big, mtu 1280, length 61 ' +
      'IP6 (hlim 64, next-header UDP (17) payload length: 13) 2001:db8::2.40000 > fe80::1.7777: UDP, length 5',
  )
  expect(text(corpusFrame('neighbor advertisement'), { verbose: true })).toContain(
    'Flags [router, solicited, override]',
  )
  expect(text(corpusFrame('router advertisement'), { verbose: true })).toContain(
    'hop limit 64, Flags [managed, other stateful], pref high, router lifetime 1800s, reachable time 30000ms, ' +
      'retrans timer 1000ms, source link-address 02:00:00:00:00:0a, mtu 1500, prefix 2001:db8:1::/64',
  )
})

test('without a link header the version tells the family', () => {
  const packet = ip4(17, bytesOf('0001000200080000'))
  expect(describeFrame(viewOf(packet), 0, packet.length, 'ip')).toBe('IP 10.0.0.1.1 > 10.0.0.2.2: UDP, length 0')
  expect(describeFrame(viewOf(bytesOf('00')), 0, 1, 'ip')).toBe('[version 0]')
  expect(describeFrame(viewOf(bytesOf('')), 0, 0, 'ip')).toBe('[|ip]')
})

const OPTIONS = [{}, { link: true }, { verbose: true }, { verbose: true, link: true, flows: new TcpFlows() }]

test('every frame of the corpus, cut anywhere, is one line and never an exception', () => {
  for (const [name, frame] of CORPUS) {
    for (let length = 0; length <= frame.length; length++) {
      const view = viewOf(frame.slice(0, length))
      for (const options of OPTIONS) {
        const line = describeFrame(view, 0, length, 'ethernet', options)
        expect(line, name).not.toMatch(/\n|undefined|NaN|^$/)
      }
    }
  }
})

test('frames with a few bytes changed never throw', () => {
  const frames = [...CORPUS.values()]
  const edits = fc.array(fc.tuple(fc.nat(), fc.nat({ max: 255 })), { minLength: 1, maxLength: 6 })
  fc.assert(
    fc.property(fc.nat({ max: frames.length - 1 }), edits, fc.constantFrom(...OPTIONS), (pick, changes, options) => {
      const frame = frames[pick]!.slice()
      for (const [at, value] of changes) frame[12 + (at % (frame.length - 12))] = value
      expect(text(frame, options)).not.toMatch(/\n|undefined|NaN/)
    }),
    { numRuns: 20_000 },
  )
})

test('random bytes never make describeFrame throw', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 120 }), fc.nat({ max: 200 }), (bytes, length) => {
      describeFrame(viewOf(bytes), 0, length, 'ip', { verbose: true })
      describeFrame(viewOf(bytes), 0, length, 'ethernet', { verbose: true, link: true })
    }),
    { numRuns: 5_000 },
  )
})
