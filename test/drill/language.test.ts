// The language of packet scripts: what is wrong is told with its line, what is not known is not run, and what differs
// by one number, flag or time fails.

import { readFileSync } from 'node:fs'
import { fc, test as property } from '@fast-check/vitest'
import { describe, expect, test } from 'vitest'
import { type DrillOptions, runScript, type Verdict } from '../../src/drill/runner.ts'
import { testPool } from '../support/pool.ts'
import { isNoticed, mutantsOf } from './mutate.ts'

const OPEN = `0  socket(..., SOCK_STREAM, IPPROTO_TCP) = 3
+0 bind(3, ..., ...) = 0
+0 listen(3, SOMAXCONN) = 0
+0 < S 0:0(0) win 60000 <mss 1000,nop,nop,sackOK>
+0 > S. 0:0(0) ack 1 win 65535 <mss 1460,nop,nop,sackOK>
+.1 < . 1:1(0) ack 1 win 60000
+0 accept(3, ..., ...) = 4
`

const run = (text: string, options: Partial<DrillOptions> = {}): Verdict =>
  runScript('x.pkt', text, { level: 'strict', pool: testPool(), ...options })

const kindOf = (text: string, options: Partial<DrillOptions> = {}): string => run(text, options).kind

describe('a wrong script', () => {
  test.each([
    ['', 'x.pkt:1: expected an event'],
    ['1 read(4, ..., 1) = 0', 'x.pkt:1: the first event must be at time 0'],
    ['0 < S 0:5(0) win 1', 'x.pkt:1: expected 0: 0 and 0 bytes'],
    ['0 < S 0:0(0)', 'x.pkt:1: expected win'],
    ['0 < Q 0:0(0) win 1', 'x.pkt:1: expected flags'],
    ['0 < . 1:1(0) win 1', 'x.pkt:1: expected ack'],
    ['0 < - 1:1(0) ack 5 win 1', 'x.pkt:1: expected no ack'],
    ['0 < S 0:0(0) win 1 <mss 1000,nop>', 'x.pkt:1: expected options of a multiple of 4 bytes, found 5'],
    ['0 < S 0:0(0) win 1 <mss 70000>', 'x.pkt:1: expected an MSS, from 0 to 65535'],
    ['0 < S 0:0(0) win 1\n+0 > R. 0:0(0) ack 1 ?', "x.pkt:2: expected a time, or the end of the script, found '?'"],
    ['0 socket(..., SOCK_STREAM, IPPROTO_TCP = 3', "x.pkt:1: expected ')'"],
    ['0 `unfinished', 'x.pkt:1: expected `'],
    ['0 socket(..., SOCK_STREAM, 0) = 3\n2 close(3) = 0\n1 close(3) = 0', 'x.pkt:3: time goes back'],
    ['0~1 < S 0:0(0) win 1', 'x.pkt:1: only packets that the stack sends'],
    ['0 < . 1:1(0) ack 1 win 1 <nop,nop,TS val 1 ecr 77>', 'x.pkt:1: no packet of the stack had TS val 77'],
    ['--no_such_thing=1\n0 < S 0:0(0) win 1', "x.pkt:1: expected an option of packetdrill, found '--no_such_thing'"],
    ['--mtu=10\n0 < S 0:0(0) win 1', 'x.pkt:1: expected a number from 68 to 65535 for --mtu'],
    ['// one\n--local_ip=999.1.1.1\n0 < S 0:0(0) win 1', "x.pkt:2: expected an IP address for --local_ip, found '999"],
    [
      '--ip_version=ipv6\n--local_ip=1.2.3.4\n0 < S 0:0(0) win 1',
      "x.pkt:1: expected an IPv6 address that a host can have for --local_ip, found '1.2.3.4'",
    ],
    ['--remote_ip=224.0.0.1\n0 < S 0:0(0) win 1', 'x.pkt:1: expected an IPv4 address that a host can have'],
    ['--local_ip=10.0.0.1/8\n0 < S 0:0(0) win 1', 'x.pkt:1: expected an IP address for --local_ip'],
    ['--local_ip=192.168.255.255\n0 < S 0:0(0) win 1', 'x.pkt:1: EADDRNOTAVAIL'],
    ['0 \u001b[31m', "found '\\x1b'"],
    ['--define=X\n0 < S 0:0(0) win 1', 'x.pkt:1: expected --define=SYMBOL=VALUE'],
    ['`sysctl -w net.ipv4.tcp_retries2=many`\n0 < S 0:0(0) win 1', "x.pkt:1: net.ipv4.tcp_retries2 is 'many'"],
    [
      '0 socket(..., SOCK_STREAM, 0) = 3\n+0 `sysctl -w net.ipv4.tcp_retries2=many`',
      "x.pkt:2: net.ipv4.tcp_retries2 is 'many'",
    ],
    ['99999999999 < S 0:0(0) win 1', 'x.pkt:1: expected a time of 1000000000 seconds at most'],
    [`0 socket(${'['.repeat(100_000)}`, 'x.pkt:1: expected no more than 50 brackets within each other'],
    ['0 %{ assert 1', 'x.pkt:1: expected }%'],
    ['\u0000\u0001\ufffd', 'x.pkt:1: expected an event'],
  ])('%j: %s', (text, message) => {
    const verdict = run(text)
    expect(verdict.kind === 'wrong' ? verdict.message : verdict.kind).toContain(message)
  })

  property.prop([fc.string({ maxLength: 200 }), fc.nat(400), fc.nat(40)])(
    'is a verdict, never an exception, whatever is written into a good one',
    (inserted, at, removed) => {
      const text = OPEN.slice(0, at) + inserted + OPEN.slice(at + removed)
      expect(['passed', 'failed', 'wrong', 'not-run']).toContain(kindOf(text))
    },
  )
})

describe('a script that is not run', () => {
  test.each([
    ['0 < gre: S 0:0(0) win 1', 'packets of gre'],
    ['0 socket(..., SOCK_RAW_OF_SOME_KIND, 0) = 3', 'the symbol SOCK_RAW_OF_SOME_KIND'],
    ['`iptables -F`\n0 socket(..., SOCK_STREAM, 0) = 3', "the command 'iptables'"],
    ['`sysctl -w net.ipv4.tcp_ecn=1`\n0 socket(..., SOCK_STREAM, 0) = 3', 'ECN'],
    [`${OPEN}+0 %{ import os }%`, "Python like 'import os'"],
    [`${OPEN}+0 vmsplice(4, 0, 0) = 0`, 'the call vmsplice'],
    [`${OPEN}+0 \`sysctl -w net.ipv4.tcp_sack=0\``, 'settings that change once sockets exist'],
    [
      `${OPEN}+0 close(4) = 0\n+0 close(3) = 0\n+0 \`sysctl -w net.ipv4.tcp_wmem="1 2 3"\``,
      'settings that change once sockets exist',
    ],
  ])('%j tells why: %s', (text, reason) => {
    expect(run(text)).toEqual({ kind: 'not-run', file: 'x.pkt', reason })
  })
})

test('a command that means nothing to the stack is passed over in the course of a script, too', () => {
  expect(kindOf(`${OPEN}+0 \`sysctl -w net.ipv4.tcp_reordering=7; tc qdisc show; nstat -n\`\n`)).toBe('passed')
})

describe('levels', () => {
  const withPush = `${OPEN}+0 write(4, ..., 500) = 500\n+0 > . 1:501(500) ack 1\n`
  const withWindow = `${OPEN}+0 write(4, ..., 500) = 500\n+0 > P. 1:501(500) ack 1 win 222\n`
  const withOrder = OPEN.replace(
    '> S. 0:0(0) ack 1 win 65535 <mss 1460,nop,nop,sackOK>',
    '> S. 0:0(0) ack 1 <sackOK,eol,eol,mss 9>',
  )
  const withoutAck = `${OPEN}+.1 < . 1:11(10) ack 1 win 60000\n+0 write(4, ..., 5) = 5\n+0 > P. 1:6(5) ack 11\n`

  test('strict compares PSH and windows, lenient does not', () => {
    expect(kindOf(withPush)).toBe('failed')
    expect(kindOf(withWindow)).toBe('failed')
    expect(kindOf(withPush, { level: 'lenient' })).toBe('passed')
    expect(kindOf(withWindow, { level: 'lenient' })).toBe('passed')
  })

  test('portable takes options of a SYN as a set, and an extra ACK for granted', () => {
    expect(kindOf(withOrder, { level: 'lenient' })).toBe('failed')
    expect(kindOf(withOrder, { level: 'portable' })).toBe('passed')
    expect(kindOf(withoutAck, { level: 'lenient' })).toBe('failed')
    expect(kindOf(withoutAck, { level: 'portable' })).toBe('passed')
  })

  test('portable still compares lengths and numbers', () => {
    expect(kindOf(`${OPEN}+0 write(4, ..., 500) = 500\n+0 > P. 1:502(501) ack 1\n`, { level: 'portable' })).toBe(
      'failed',
    )
  })
})

describe('the language', () => {
  test('symbols of the user are numbers, words, strings and commands', () => {
    const text = OPEN.replace('mss 1000', 'mss SIZE').replace('SOCK_STREAM', 'KIND')
    const symbols = new Map([
      ['SIZE', '1000'],
      ['KIND', 'SOCK_STREAM'],
    ])
    expect(kindOf(text, { symbols })).toBe('passed')
    expect(kindOf(`#ifdef SIZE\n${OPEN}#endif\n`, { symbols })).toBe('passed')
  })

  test('a script defines symbols itself, and its own go before those of the user', () => {
    const text = `--define=SIZE=1000\n${OPEN.replace('mss 1000', 'mss SIZE')}`
    expect(kindOf(text, { symbols: new Map([['SIZE', '70000']]) })).toBe('passed')
  })

  test('a byte order mark and carriage returns are no part of a script', () => {
    expect(kindOf(`\ufeff${OPEN.replaceAll('\n', '\r\n')}`)).toBe('passed')
  })

  test('--mss makes segments of what the script sends in larger packets', () => {
    const text = `--mss=1000\n${OPEN}+.1 < . 1:10001(10000) ack 1 win 65535\n+0 > . 1:1(0) ack 10001
+0 %{ assert tcpi_segs_in == 12 and tcpi_data_segs_in == 10 and tcpi_rcv_mss == 1000 }%`
    expect(run(text)).toEqual({ kind: 'passed', file: 'x.pkt' })
  })

  test('lengths that cannot be are errors of the call', () => {
    expect(kindOf(`${OPEN}+0 write(4, ..., -5) = -1 EINVAL (Invalid argument)`)).toBe('passed')
    expect(kindOf('0 socket(..., SOCK_DGRAM, 0) = 3\n+0 sendto(3, ..., 4000000000, 0, ..., ...) = -1 EMSGSIZE')).toBe(
      'passed',
    )
  })

  test('a call that never returns and time that never comes are failures of their line', () => {
    const blocked = '+0...1 poll([{fd=4, events=POLLIN, revents=0}], 1, -1) = 0'
    expect(run(`${OPEN}${blocked}`)).toMatchObject({ line: 8, message: 'poll() still blocks at the end of the script' })
    expect(run(`${OPEN}0.05 %{ assert 1 }%`)).toMatchObject({ kind: 'failed', line: 8 })
  })

  test('comments and line ends separate words as blanks do', () => {
    const text = OPEN.replaceAll(' ', '\n').replace('+0\n<', '+0 /* from\nthe peer */ < // now\n')
    expect(kindOf(text)).toBe('passed')
  })

  test('ranges and * leave the time open', () => {
    const late = `${OPEN}+0 write(4, ..., 500) = 500\n+0 > P. 1:501(500) ack 1\n`
    expect(kindOf(`${late}+.2~+.4 > P. 1:501(500) ack 1\n`)).toBe('passed')
    expect(kindOf(`${late}+.31~+.4 > P. 1:501(500) ack 1\n`)).toBe('failed')
    expect(kindOf(`${late}* > P. 1:501(500) ack 1\n`)).toBe('passed')
  })

  test('<...> and ...(len) leave options and numbers open', () => {
    expect(kindOf(OPEN.replace('<mss 1460,nop,nop,sackOK>', '<...>'))).toBe('passed')
    expect(kindOf(`${OPEN}+0 write(4, ..., 5) = 5\n+0 > P. ...(5) ack 1\n`)).toBe('passed')
  })

  test('one packet of the script may be several of the stack, but not with --strict_segments', () => {
    const text = `${OPEN}+0 write(4, ..., 2500) = 2500\n+0 > P. 1:2501(2500) ack 1\n`
    expect(kindOf(text)).toBe('passed')
    expect(kindOf(`--strict_segments\n${text}`)).toBe('failed')
  })

  test('assertions know arithmetic, chains, words and variables', () => {
    const code = (text: string): string => kindOf(`${OPEN}+0 %{ ${text} }%`)
    expect(code('assert 1 <= tcpi_state <= 1 and not tcpi_lost')).toBe('passed')
    expect(code('a = 2 + 3 * 4\nb = (a | 1) << 1; b += 1\nassert b == 31, b\nprint(b)')).toBe('passed')
    expect(code('assert -7 // 2 == -4 and -7 % 3 == 2 and ~0 == -1')).toBe('passed')
    expect(code('assert tcpi_snd_mss == 1001')).toBe('failed')
    expect(code('assert 1 or 1 / 0')).toBe('passed')
    expect(code(`assert ${'not '.repeat(99_999)}0 and ${'-'.repeat(99_999)}1 == -1`)).toBe('passed')
  })

  test.each([
    ['assert (', "'assert (' does not end"],
    ['assert 1 / 0 > 5', 'assert 1 / 0 > 5 divides by zero'],
    ['assert what == 1', 'assert what == 1: there is no variable what'],
    [`assert ${'('.repeat(99_999)}1${')'.repeat(99_999)}`, 'more than 50 brackets within each other'],
  ])('code that would end a Python fails: %s', (text, message) => {
    expect(run(`${OPEN}+0 %{ ${text} }%`)).toMatchObject({ kind: 'failed', line: 8, message })
  })

  test('defaults.sh is a profile: windows of 15 MB, and so a scale of 8', () => {
    const text = `\`../common/defaults.sh\`\n0 socket(..., SOCK_STREAM, IPPROTO_TCP) = 3
+0 fcntl(3, F_SETFL, O_RDWR|O_NONBLOCK) = 0
+0 connect(3, ..., ...) = -1 EINPROGRESS (Operation now in progress)
+0 > S 0:0(0) <mss 1460,sackOK,TS val 100 ecr 0,nop,wscale 8>`
    expect(run(text)).toEqual({ kind: 'passed', file: 'x.pkt' })
  })

  test('a script over IPv6 has larger headers', () => {
    expect(kindOf(`--ip_version=ipv6\n${OPEN.replace('mss 1460', 'mss 1440')}`)).toBe('passed')
  })

  test('a failure shows what was expected and what was seen, in the notation of scripts', () => {
    expect(run(`${OPEN}+0 write(4, ..., 5) = 5\n+0 > P. 1:7(6) ack 1 win 65535\n`)).toEqual({
      kind: 'failed',
      file: 'x.pkt',
      line: 9,
      message: 'length 6 was expected, 5 seen',
      expected: '0.100000 > P. 1:7(6) ack 1 win 65535',
      seen: '0.100000 > P. 1:6(5) ack 1 win 65535',
    })
  })
})

describe('docs/drill.md', () => {
  const page = readFileSync(new URL('../../docs/drill.md', import.meta.url), 'utf8')
  const [there, notThere] = page.slice(page.indexOf('## tcp_info')).split('| not there |')
  const fields = (text: string): string[] => [...new Set(text.match(/tcpi_\w+/g))]

  test('names the fields of tcp_info that assertions may read, and no other', () => {
    const read = fields(there!).map((name) => [name, kindOf(`${OPEN}+0 %{ assert ${name} >= 0 }%`)])
    expect(read.length).toBeGreaterThan(40)
    expect(read.filter(([, kind]) => kind !== 'passed')).toEqual([])
  })

  test('names those that are not there', () => {
    const read = fields(notThere!).map((name) => [name, kindOf(`${OPEN}+0 %{ assert ${name} >= 0 }%`)])
    expect(read.length).toBeGreaterThan(8)
    expect(read.filter(([, kind]) => kind !== 'not-run')).toEqual([])
  })

  test.each(['SO_', 'TCP_', 'IP_', 'IPV6_'])('names the socket options %s… for what they are', (prefix) => {
    const rows = page.split('\n').filter((line) => /^\| (act|set and read back|not run)\b/.test(line))
    const verdict = (row: string, level: string): [string, string][] =>
      [...new Set(row.match(new RegExp(`\\b${prefix}[A-Z0-9_]+`, 'g')))]
        .filter(
          (name) => !['TCP_INFO', 'TCP_CC_INFO', 'SO_LINGER', 'SO_ERROR', 'SO_TYPE', 'SO_ACCEPTCONN'].includes(name),
        )
        .map((name) => {
          const value = name === 'TCP_CONGESTION' ? '"reno", 4' : `[${name === 'TCP_MAXSEG' ? 500 : 1}], 4`
          const kind = kindOf(`${OPEN}+0 setsockopt(4, ${level}, ${name}, ${value}) = 0`)
          return [name, kind]
        })
    const [act, stored, missing] = rows.map((row) => verdict(row, prefix === 'SO_' ? 'SOL_SOCKET' : 'SOL_TCP'))
    expect(act!.length).toBeGreaterThan(0)
    expect([...act!, ...stored!].filter(([, kind]) => kind !== 'passed')).toEqual([])
    expect(missing!.filter(([, kind]) => kind !== 'not-run')).toEqual([])
  })
})

test('every mutant of a handshake with data is noticed, but for what no TCP could know', () => {
  const text = `${OPEN}+0 write(4, ..., 1500) = 1500
+0 > . 1:1001(1000) ack 1 win 65535
+0 > P. 1001:1501(500) ack 1 win 65535
+.1 < . 1:1(0) ack 1501 win 60000
0.2 %{ assert tcpi_rtt == 100000 and tcpi_snd_wnd == 60000 and tcpi_last_ack_recv == 0 }%`
  const missed = mutantsOf({ name: 'x.pkt', text }).filter((mutant) => !isNoticed(mutant, true))
  // The windows of the handshake are overtaken by that of the last ACK before anything depends on them.
  const changes = missed.map(({ line, change }) => `${line}: ${change}`)
  expect(changes).toEqual(['4: 60000 -> 60001', '6: 60000 -> 60001'])
})
