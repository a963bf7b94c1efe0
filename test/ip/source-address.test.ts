import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { Counters } from '../../src/counters.ts'
import { type AddressState, Interface, InterfaceAddress } from '../../src/ip/interface.ts'
import { selectSource } from '../../src/ip/source-address.ts'
import { LoopbackDevice } from '../../src/link/loopback.ts'
import { IpAddress, IpPrefix } from '../../src/wire/address.ts'
import { mac } from '../support/messages.ts'

const device = new LoopbackDevice({ name: 'eth' })
const counters = new Counters()

/** `2001:db8::1/64`, also with `deprecated`, `tentative`, `duplicate` behind it. */
function link(index: number, ...texts: string[]): Interface {
  const made = new Interface(index, { name: `eth${index}`, device }, mac(index), counters)
  for (const text of texts) {
    const [prefix, state] = text.split(' ')
    const entry = new InterfaceAddress(IpPrefix.from(prefix!), 'static')
    if (state !== undefined) entry.state = state as AddressState
    made.addresses.push(entry)
  }
  return made
}

const choose = (destination: string, outgoing: Interface, ...others: Interface[]): string =>
  String(selectSource(IpAddress.from(destination), outgoing, [outgoing, ...others]))

describe('RFC 6724 §10.1', () => {
  test.each<[string, string[], string, string]>([
    ['the appropriate scope', ['2001:db8:3::1/64', 'fe80::1/64'], '2001:db8:1::1', '2001:db8:3::1'],
    ['the appropriate scope, a group of the site', ['fe80::1/64', '2001:db8:3::1/64'], 'ff05::1', '2001:db8:3::1'],
    ['the same address', ['2001:db8:1::1/64 deprecated', '2001:db8:2::1/64'], '2001:db8:1::1', '2001:db8:1::1'],
    ['the appropriate scope over deprecation', ['fe80::1/64 deprecated', '2001:db8:1::1/64'], 'fe80::2', 'fe80::1'],
    ['the longest prefix', ['2001:db8:1::2/64', '2001:db8:3::2/64'], '2001:db8:1::1', '2001:db8:1::2'],
    ['the longest prefix, turned round', ['2001:db8:3::2/64', '2001:db8:1::2/64'], '2001:db8:1::1', '2001:db8:1::2'],
    ['the matching label', ['2002:c633:6401::2/48', '2001:db8:1::2/64'], '2002:c633:6401::1', '2002:c633:6401::2'],
    ['the matching label over the prefix', ['2002:c633:6401::1/48', '2001:db8::1/64'], '2001:db9::1', '2001:db8::1'],
    ['unique local to unique local', ['2001:db8::1/64', 'fd00::1/64'], 'fd00:1::1', 'fd00::1'],
    ['global to global', ['fd00::1/64', '2001:db8::1/64'], '2a00::1', '2001:db8::1'],
    ['a preferred one', ['2001:db8:1::1/64 deprecated', '2001:db8:9::1/64'], '2001:db8:1::5', '2001:db8:9::1'],
    ['a deprecated one where there is no other', ['2001:db8::1/64 deprecated', 'fe80::1/64'], '2a00::1', '2001:db8::1'],
    ['the first where all is equal', ['2001:db8::7/64', '2001:db8::9/64'], '2001:db8::8', '2001:db8::7'],
  ])('%s: of %j for %s it is %s', (_why, addresses, destination, wanted) => {
    expect(choose(destination, link(2, ...addresses))).toBe(wanted)
  })

  test('rule 8 counts no further than the source’s own prefix: interface identifiers are no nearness', () => {
    const on = link(2, '2001:db8:0:0::1/64', '2001:db8:0:0:ffff::1/64')
    expect(choose('2001:db8::ffff:0:0:5', on)).toBe('2001:db8::1')
  })
})

describe('IPv4', () => {
  test.each<[string, string[], string, string]>([
    ['the longest prefix', ['10.1.0.1/24', '10.2.0.1/24'], '10.2.0.9', '10.2.0.1'],
    ['the first of one network', ['10.1.0.1/24', '10.1.0.2/24'], '10.1.0.3', '10.1.0.1'],
    ['global to global', ['169.254.1.1/16', '10.0.0.1/24'], '192.0.2.1', '10.0.0.1'],
    ['link-local to link-local', ['10.0.0.1/24', '169.254.1.1/16'], '169.254.9.9', '169.254.1.1'],
    ['never one of the other family', ['2001:db8::1/64', '10.0.0.1/24'], '192.0.2.1', '10.0.0.1'],
  ])('%s: of %j for %s it is %s', (_why, addresses, destination, wanted) => {
    expect(choose(destination, link(2, ...addresses))).toBe(wanted)
  })
})

describe('several interfaces', () => {
  test('rule 5: the outgoing one, where scope and deprecation leave the choice', () => {
    const other = link(3, '2001:db8:1::1/64')
    expect(choose('2001:db8:1::5', link(2, '2001:db8:2::1/64'), other)).toBe('2001:db8:2::1')
    expect(choose('2001:db8:1::5', link(2, '2001:db8:2::1/64 deprecated'), other)).toBe('2001:db8:1::1')
    expect(choose('2001:db8:1::5', link(2, 'fe80::1/64'), other)).toBe('2001:db8:1::1')
    expect(choose('2001:db8:1::5', link(2), other)).toBe('2001:db8:1::1')
    expect(choose('192.0.2.1', link(2, '169.254.1.1/16'), link(3, '10.0.0.1/24'))).toBe('10.0.0.1')
  })

  test('§4: for link-local destinations and groups only those of the outgoing link will do', () => {
    const other = link(3, '2001:db8:1::1/64', 'fe80::3/64', '10.0.0.1/24')
    for (const destination of ['fe80::9', 'ff02::1', 'ff0e::1', '224.0.0.1', '239.1.2.3', '169.254.1.1']) {
      expect(choose(destination, link(2), other)).toBe('null')
    }
    expect(choose('ff0e::1', link(2, 'fe80::1/64'), other)).toBe('fe80::1')
  })

  test('loopback and link-local addresses of other links are of no use elsewhere', () => {
    const others = [link(1, '127.0.0.1/8', '::1/128'), link(3, 'fe80::3/64', '169.254.3.3/16')]
    expect(choose('2001:db8::1', link(2), ...others)).toBe('null')
    expect(choose('192.0.2.1', link(2), ...others)).toBe('null')
  })
})

const bits = fc.integer({ min: 0, max: 0xffff })
const address4 = bits.map(
  (n) => `${[10, 169, 192][n % 3]}.${n % 3 === 1 ? 254 : 0}.${(n >> 4) & 3}.${(n & 0xf) + 1}/24`,
)
const address6 = bits.map(
  (n) => `${['fe80::', '2001:db8:', '2002:a00:', 'fd00:1:'][n % 4]}${(n >> 4) + 1}${n % 4 === 0 ? '/64' : '::1/64'}`,
)
const states = fc.constantFrom('', ' deprecated', ' tentative', ' duplicate')
const entries = fc.array(
  fc.tuple(fc.oneof(address4, address6), states).map(([address, state]) => address + state),
  { maxLength: 8 },
)

test('the result is always a usable address of the right family, and there is one where the link has one', () => {
  fc.assert(
    fc.property(fc.oneof(address4, address6), entries, entries, (to, near, far) => {
      const destination = IpPrefix.from(to).address
      const outgoing = link(2, ...near)
      const other = link(3, ...far)
      const source = selectSource(destination, outgoing, [outgoing, other])
      const fits = (on: Interface): InterfaceAddress[] =>
        on.addresses.filter(({ address, usable }) => usable && address.family === destination.family)
      if (source === null) {
        expect(fits(outgoing)).toEqual([])
        if (!destination.isLinkLocal) expect(fits(other).filter(({ address }) => address.scope > 2)).toEqual([])
        return
      }
      const owners = [...fits(outgoing), ...fits(other)].filter(({ address }) => address.equals(source))
      expect(owners.length).toBeGreaterThan(0)
      expect(source.family).toBe(destination.family)
      if (destination.isLinkLocal) expect(fits(outgoing)).toContain(owners[0])
    }),
    { numRuns: 1_000 },
  )
})
