import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { ROUTE_LIMIT, type Route, type RouteOptions, RouteTable } from '../../src/ip/routes.ts'
import { commonPrefixLength, IpAddress, IpPrefix } from '../../src/wire/address.ts'

const anyRoute = (): boolean => true
const net = (text: string): IpPrefix => IpPrefix.from(text)
const ip = (text: string): IpAddress => IpAddress.from(text)

/** Addresses of few bits, so that prefixes nest and collide. */
const narrow4 = fc.integer({ min: 0, max: 0xff }).map((n) => IpAddress.v4(0x0a00_0000 | ((n & 0xf0) << 12) | (n & 0xf)))
const narrow6 = fc
  .tuple(fc.integer({ min: 0, max: 3 }), fc.integer({ min: 0, max: 3 }), fc.integer({ min: 0, max: 3 }))
  .map(([a, b, c]) => new IpAddress(6, 0x2001_0db8, a << 30, b, c << 16))
const prefixes = fc.oneof(
  fc.tuple(narrow4, fc.integer({ min: 0, max: 32 })).map(([address, length]) => new IpPrefix(address, length)),
  fc.tuple(narrow6, fc.integer({ min: 0, max: 128 })).map(([address, length]) => new IpPrefix(address, length)),
)
const added = fc.record({
  prefix: prefixes,
  interfaceIndex: fc.integer({ min: 1, max: 3 }),
  metric: fc.integer({ min: 0, max: 2 }),
  isVia: fc.boolean(),
})
const steps = fc.array(
  fc.oneof(
    { weight: 4, arbitrary: fc.record({ add: added }) },
    { weight: 1, arbitrary: fc.record({ remove: added, byInterface: fc.boolean() }) },
  ),
  { maxLength: 60 },
)

const optionsOf = ({
  prefix,
  isVia,
  ...rest
}: { prefix: IpPrefix; isVia: boolean } & Omit<RouteOptions, 'prefix'>) => ({
  prefix,
  ...rest,
  ...(isVia ? { gateway: prefix.address.family === 4 ? ip('192.0.2.1') : ip('fe80::1') } : {}),
})

const same = (a: IpAddress | null, b: IpAddress | null): boolean => a === b || (a !== null && b !== null && a.equals(b))
const samePrefix = (a: IpPrefix, b: IpPrefix): boolean => a.length === b.length && a.address.equals(b.address)

/** The table that takes its time: a list, newest last. */
class NaiveRoutes {
  routes: Required<Pick<Route, 'prefix' | 'gateway' | 'interfaceIndex' | 'metric'>>[] = []

  add(options: RouteOptions): void {
    const route = {
      prefix: options.prefix.network,
      gateway: options.gateway ?? null,
      interfaceIndex: options.interfaceIndex,
      metric: options.metric!,
    }
    const at = this.routes.findIndex(
      (other) =>
        samePrefix(other.prefix, route.prefix) &&
        other.metric === route.metric &&
        other.interfaceIndex === route.interfaceIndex &&
        same(other.gateway, route.gateway),
    )
    if (at < 0) this.routes.push(route)
    else this.routes[at] = route
  }

  remove(prefix: IpPrefix, interfaceIndex: number | undefined): number {
    const before = this.routes.length
    this.routes = this.routes.filter(
      (route) =>
        !samePrefix(route.prefix, prefix.network) ||
        (interfaceIndex !== undefined && route.interfaceIndex !== interfaceIndex),
    )
    return before - this.routes.length
  }

  lookup(destination: IpAddress, interfaceIndex: number) {
    let best: (typeof this.routes)[number] | null = null
    for (const route of this.routes) {
      const { address, length } = route.prefix
      if (address.family !== destination.family || commonPrefixLength(address, destination) < length) continue
      if (interfaceIndex !== 0 && route.interfaceIndex !== interfaceIndex) continue
      if (best === null || length > best.prefix.length) best = route
      else if (length === best.prefix.length && route.metric < best.metric) best = route
    }
    return best
  }
}

describe('RFC 1812 §5.2.4.3', () => {
  test('the longest prefix wins, then the smaller metric, then who was first: as in a plain list', () => {
    fc.assert(
      fc.property(steps, fc.array(fc.oneof(narrow4, narrow6), { minLength: 5, maxLength: 20 }), (all, destinations) => {
        const table = new RouteTable()
        const naive = new NaiveRoutes()
        for (const step of all) {
          const { generation } = table
          if ('add' in step) {
            expect(table.add(optionsOf(step.add))).toBe(true)
            naive.add(optionsOf(step.add))
            expect(table.generation).toBeGreaterThan(generation)
          } else {
            const { prefix, interfaceIndex } = step.remove
            const index = step.byInterface ? interfaceIndex : undefined
            const removed = table.remove({ prefix, ...(index === undefined ? {} : { interfaceIndex: index }) })
            expect(removed).toBe(naive.remove(prefix, index))
            expect(table.generation > generation).toBe(removed > 0)
          }
          expect(table.size).toBe(naive.routes.length)
          expect(table.list().length).toBe(naive.routes.length)
        }
        for (const destination of destinations) {
          for (const index of [0, 1, 2]) {
            const found = table.lookup(destination, (route) => index === 0 || route.interfaceIndex === index)
            const wanted = naive.lookup(destination, index)
            if (wanted === null) expect(found).toBeNull()
            else expect(found).toMatchObject(wanted)
          }
        }
      }),
      { numRuns: 300 },
    )
  })

  test('a family does not match the other', () => {
    const table = new RouteTable()
    table.add({ prefix: net('0.0.0.0/0'), interfaceIndex: 1 })
    expect(table.lookup(ip('::'), anyRoute)).toBeNull()
    table.add({ prefix: net('::/0'), interfaceIndex: 2 })
    expect(table.lookup(ip('::ffff:10.0.0.1'), anyRoute)?.interfaceIndex).toBe(2)
    expect(table.lookup(ip('10.0.0.1'), anyRoute)?.interfaceIndex).toBe(1)
  })
})

describe('adding and removing', () => {
  test('host bits of a prefix do not matter', () => {
    const table = new RouteTable()
    table.add({ prefix: net('10.1.2.3/8'), interfaceIndex: 1 })
    expect(table.list()[0]!.prefix).toEqual(net('10.0.0.0/8'))
    expect(table.remove({ prefix: net('10.9.9.9/8') })).toBe(1)
    expect(table.size).toBe(0)
  })

  test('the same prefix, metric, way and origin is replaced; another of these makes another route', () => {
    const table = new RouteTable()
    const route: RouteOptions = { prefix: net('10.0.0.0/8'), interfaceIndex: 1, metric: 5 }
    table.add(route)
    table.add({ ...route, kind: 'prohibit' })
    expect(table.list()).toMatchObject([{ kind: 'prohibit' }])
    table.add({ ...route, metric: 6 })
    table.add({ ...route, gateway: ip('10.0.0.1') })
    table.add({ ...route, interfaceIndex: 2 })
    table.add({ ...route, origin: 'connected' })
    expect(table.size).toBe(5)
  })

  test('what is not named in a removal may be anything; a gateway of null is a route without one', () => {
    const prefix = net('10.0.0.0/8')
    const gateway = ip('10.0.0.1')
    const full = (): RouteTable => {
      const table = new RouteTable()
      table.add({ prefix, interfaceIndex: 1 })
      table.add({ prefix, interfaceIndex: 1, gateway, metric: 3 })
      table.add({ prefix, interfaceIndex: 2, gateway, origin: 'router-advertisement' })
      return table
    }
    expect(full().remove({ prefix })).toBe(3)
    expect(full().remove({ prefix, gateway })).toBe(2)
    expect(full().remove({ prefix, gateway: null })).toBe(1)
    expect(full().remove({ prefix, interfaceIndex: 1 })).toBe(2)
    expect(full().remove({ prefix, metric: 3 })).toBe(1)
    expect(full().remove({ prefix, origin: 'router-advertisement' })).toBe(1)
    expect(full().remove({ prefix, gateway, interfaceIndex: 1 })).toBe(1)
    expect(full().remove({ prefix: net('10.0.0.0/9') })).toBe(0)
    expect(full().remove({ prefix: net('::/8') })).toBe(0)
  })

  test('the metric is 0 for IPv4 and 1,024 for IPv6 where none is given', () => {
    const table = new RouteTable()
    table.add({ prefix: net('0.0.0.0/0'), interfaceIndex: 1 })
    table.add({ prefix: net('::/0'), interfaceIndex: 1 })
    expect(table.list().map(({ metric }) => metric)).toEqual([0, 1_024])
  })

  test('beyond 65,536 routes an addition is refused; a replacement is not', () => {
    const table = new RouteTable()
    for (let n = 0; n < ROUTE_LIMIT; n++) {
      expect(table.add({ prefix: new IpPrefix(IpAddress.v4(n << 8), 24), interfaceIndex: 1 })).toBe(true)
    }
    const { generation } = table
    expect(table.add({ prefix: net('2001:db8::/32'), interfaceIndex: 1 })).toBe(false)
    expect(table.lookup(ip('2001:db8::1'), anyRoute)).toBeNull()
    expect(table.generation).toBe(generation)
    expect(table.add({ prefix: net('0.0.1.0/24'), interfaceIndex: 1, kind: 'blackhole' })).toBe(true)
    expect(table.remove({ prefix: net('0.0.0.0/24') })).toBe(1)
    expect(table.add({ prefix: net('2001:db8::/32'), interfaceIndex: 1 })).toBe(true)
  })
})
