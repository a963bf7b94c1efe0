// The words after --link: which links they name, and the sentence for those that name none.

import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { UsageError } from '../../src/errors.ts'
import { type LinkName, parseLinkName } from '../../src/link/link-name.ts'
import { IpAddress } from '../../src/wire/address.ts'

const at = (address: string, port: number) => ({ address: IpAddress.from(address), port })

const good: [text: string, name: LinkName][] = [
  ['tap:tap0', { kind: 'tap', name: 'tap0' }],
  ['tun:a.b_c-d', { kind: 'tun', name: 'a.b_c-d' }],
  ['macvtap:fifteen-letters', { kind: 'macvtap', name: 'fifteen-letters' }],
  ['fd:3', { kind: 'fd', fd: 3 }],
  [
    'vxlan:42,10.0.0.1:4789,10.0.0.2:4790',
    { kind: 'vxlan', vni: 42, local: at('10.0.0.1', 4789), remote: at('10.0.0.2', 4790) },
  ],
  [
    'vxlan:16777215,[::1]:0,[fd00::2]:4789',
    { kind: 'vxlan', vni: 0xff_ffff, local: at('::1', 0), remote: at('fd00::2', 4789) },
  ],
  ['qemu:unix:/run/q:1.sock', { kind: 'qemu-unix', path: '/run/q:1.sock' }],
  ['qemu:127.0.0.1:5555', { kind: 'qemu-tcp', remote: at('127.0.0.1', 5555) }],
  ['qemu:[::1]:5555', { kind: 'qemu-tcp', remote: at('::1', 5555) }],
  ['qemu:dgram:127.0.0.1:1-127.0.0.1:2', { kind: 'qemu-dgram', local: at('127.0.0.1', 1), remote: at('127.0.0.1', 2) }],
  ['passt:./passt.sock', { kind: 'passt', path: './passt.sock' }],
  ['udp:0.0.0.0:0-192.0.2.7:65535', { kind: 'udp', local: at('0.0.0.0', 0), remote: at('192.0.2.7', 65_535) }],
  ['udp:[::]:9-[fd00::7]:9', { kind: 'udp', local: at('::', 9), remote: at('fd00::7', 9) }],
  ['raw:253,192.0.2.7', { kind: 'raw', protocol: 253, remote: IpAddress.from('192.0.2.7') }],
  ['raw:4,fd00::7', { kind: 'raw', protocol: 4, remote: IpAddress.from('fd00::7') }],
  ['mem', { kind: 'mem' }],
]

const bad: [text: string, why: RegExp][] = [
  ['', /write tap:NAME/],
  ['eth:0', /write tap:NAME/],
  ['tap', /1 to 15 characters/],
  ['tap:', /1 to 15 characters/],
  ['tap:sixteen-letters-', /1 to 15 characters/],
  ['tap:.', /not an interface name/],
  ['tap:..', /not an interface name/],
  ['tap:a/b', /not an interface name/],
  ['tap:a b', /not an interface name/],
  ['tap:a:b', /not an interface name/],
  ['tap:a%d', /not an interface name/],
  ['tun:é', /not an interface name/],
  ['fd:', /a descriptor is a number/],
  ['fd:-1', /a descriptor is a number/],
  ['fd:3x', /a descriptor is a number/],
  ['vxlan:1,10.0.0.1:1', /write vxlan:VNI/],
  ['vxlan:16777216,10.0.0.1:1,10.0.0.2:1', /a VNI is a number from 0 to 16777215/],
  ['vxlan:1,10.0.0.1:1,10.0.0.2:0', /a port is a number from 1/],
  ['vxlan:1,10.0.0.1:1,[::1]:1', /one family/],
  ['qemu:', /not ADDRESS:PORT/],
  ['qemu:unix:', /path of a Unix socket/],
  [`qemu:unix:/${'a'.repeat(107)}`, /at most 107 bytes/],
  ['qemu:localhost:5', /'localhost' is not an IP address/],
  ['qemu:127.0.0.1', /not ADDRESS:PORT/],
  ['qemu:[127.0.0.1]:5', /not an IP address/],
  ['qemu:::1:5', /not ADDRESS:PORT/],
  ['qemu:127.0.0.1:65536', /a port is a number from 1 to 65535/],
  ['passt:', /path of a Unix socket/],
  ['udp:10.0.0.1:1', /write LOCAL:PORT-REMOTE:PORT/],
  ['udp:10.0.0.1:1-10.0.0.2:', /a port is a number/],
  ['raw:0,10.0.0.1', /a protocol is a number from 1 to 254/],
  ['raw:255,10.0.0.1', /a protocol is a number/],
  ['raw:1', /write raw:PROTOCOL,REMOTE/],
  ['raw:1,nobody', /not an IP address/],
  ['mem:x', /mem takes nothing/],
]

describe('a link string', () => {
  for (const [text, name] of good) it(`names a link: ${text}`, () => expect(parseLinkName(text)).toEqual(name))

  for (const [text, why] of bad)
    it(`is refused with a sentence: ${JSON.stringify(text)}`, () => {
      expect(() => parseLinkName(text)).toThrow(UsageError)
      expect(() => parseLinkName(text)).toThrow(why)
    })

  it('of any characters is a link or a UsageError, nothing else', () => {
    const prefix = fc.constantFrom(
      'tap:',
      'fd:',
      'vxlan:',
      'qemu:',
      'qemu:unix:',
      'qemu:dgram:',
      'udp:',
      'raw:',
      'passt:',
      '',
    )
    const rest = fc.string({ unit: fc.constantFrom(...'0123456789.:,-[]ax/% \0é'), maxLength: 40 })
    fc.assert(
      fc.property(prefix, rest, (head, tail) => {
        try {
          expect(typeof parseLinkName(head + tail).kind).toBe('string')
        } catch (error) {
          expect(error).toBeInstanceOf(UsageError)
        }
      }),
    )
  })
})
