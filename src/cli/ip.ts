// `hourglass ip`: addresses, routes and neighbours of a running host, as ip(8) prints them.

import type { Command } from 'commander'
import { UsageError } from '../errors.ts'
import type { AddressState, InterfaceState, NeighborRow, RouteState } from '../node/control/host-state.ts'
import { addControlOptions, allRows, type ControlFlags } from './control.ts'
import { EXIT_OK, print, printJson } from './output.ts'

interface IpFlags extends ControlFlags {
  4?: boolean
  6?: boolean
}

const OBJECTS = ['address', 'link', 'route', 'neighbour', 'neighbor', 'neigh'] as const
/** iproute2's for ever. */
const FOREVER = 4_294_967_295

export function ipCommand(program: Command, end: (code: number) => void): void {
  const command = program
    .command('ip')
    .summary("a running host's interfaces, routes and neighbours, as ip(8) prints them")
    .description(
      'Prints interfaces, addresses, routes or neighbours of a running host. Objects may be shortened, as in ip(8).',
    )
    .argument('<OBJECT>', 'addr, link, route or neigh')
    .argument('[show]', 'what is done anyway')
    .argument('[dev]', 'before the name of an interface')
    .argument('[NAME]', 'only this interface')
    .option('-4', 'IPv4 only')
    .option('-6', 'IPv6 only')
  addControlOptions(command).action(
    async (
      object: string,
      verb: string | undefined,
      dev: string | undefined,
      name: string | undefined,
      flags: IpFlags,
    ) => end(await ip(object, [verb, dev, name], flags)),
  )
  command.addHelpText(
    'before',
    'Examples:\n  hourglass ip addr\n  hourglass ip link\n  hourglass ip -6 route\n  hourglass ip neigh show dev tap0\n',
  )
}

async function ip(word: string, rest: readonly (string | undefined)[], flags: IpFlags): Promise<number> {
  const object = OBJECTS.find((one) => word !== '' && one.startsWith(word))
  if (object === undefined) throw new UsageError(`ip ${word}: give addr, link, route or neigh`)
  const device = deviceOf(rest)
  const isShown = (family: number): boolean => !(flags[4] && family !== 4) && !(flags[6] && family !== 6)
  const json = flags.json === true
  if (object === 'address' || object === 'link') {
    const withAddresses = object === 'address'
    const interfaces = (await allRows(flags, 'interfaces')).filter(({ name }) => device === null || name === device)
    if (device !== null && interfaces.length === 0)
      throw new UsageError(`Device "${device}" does not exist: see hourglass ip addr`)
    // Of one family ip(8) shows what has an address of it, and not how it is linked.
    const isOfOne = withAddresses && flags[4] !== flags[6]
    const shown = interfaces
      .filter(({ addresses }) => !isOfOne || addresses.some(({ family }) => isShown(family)))
      .map((on) => ({ ...on, addresses: withAddresses ? on.addresses.filter(({ family }) => isShown(family)) : [] }))
    if (json) printJson(shown.map((on) => ({ ...linkJson(on, isOfOne), ...(withAddresses ? addressJson(on) : {}) })))
    else for (const on of shown) printInterface(on, isOfOne)
    return EXIT_OK
  }
  const on = <Row extends { interface: string }>(row: Row): boolean => device === null || row.interface === device
  if (object === 'route') {
    // ip(8) shows one table at a time: that of IPv4, if nobody asks for the other.
    const family = flags[6] === true ? 6 : 4
    const routes = (await allRows(flags, 'routes')).filter((route) => route.family === family && on(route))
    // The kernel lists the default route of IPv4 first.
    if (family === 4) routes.reverse()
    if (json) printJson(routes.map(routeJson))
    else for (const route of routes) print(routeLine(route))
    return EXIT_OK
  }
  const neighbors = (await allRows(flags, 'neighbors')).filter((row) => isShown(row.family) && on(row))
  if (json) printJson(neighbors.map(neighborJson))
  else for (const row of neighbors) print(neighborLine(row))
  return EXIT_OK
}

/** The interface that the words after the object name; null: all. */
function deviceOf(words: readonly (string | undefined)[]): string | null {
  const given = words.filter((word) => word !== undefined)
  if (given[0] !== undefined && ['show', 'list', 'sh', 'ls', 'lst', 's', 'l'].includes(given[0])) given.shift()
  if (given[0] === 'dev') given.shift()
  const [name, more] = given
  if (more !== undefined) throw new UsageError(`'${more}' is one word too many: write hourglass ip addr show dev NAME`)
  return name ?? null
}

const flagsOf = (on: InterfaceState): string[] => [
  ...(on.isLoopback ? ['LOOPBACK'] : on.mac === null ? ['POINTOPOINT', 'NOARP'] : ['BROADCAST', 'MULTICAST']),
  ...(on.up ? ['UP', 'LOWER_UP'] : []),
]

const linkType = (on: InterfaceState): string => (on.isLoopback ? 'loopback' : on.mac === null ? 'none' : 'ether')
const operState = (on: InterfaceState): string => (on.isLoopback ? 'UNKNOWN' : on.up ? 'UP' : 'DOWN')
const scopeOf = ({ origin }: AddressState): string =>
  origin === 'loopback' ? 'host' : origin === 'link-local' ? 'link' : 'global'
const familyName = (family: number): string => (family === 4 ? 'inet' : 'inet6')
const lifetime = (seconds: number | null): string => (seconds === null ? 'forever' : `${seconds}sec`)
const flagOf = ({ state }: AddressState): string[] =>
  state === 'preferred' ? [] : [state === 'duplicate' ? 'dadfailed' : state]

function printInterface(on: InterfaceState, isOfOneFamily: boolean): void {
  print(
    `${on.index}: ${on.name}: <${flagsOf(on).join(',')}> mtu ${on.mtu} qdisc noqueue state ${operState(on)} group default`,
  )
  const hardware = on.isLoopback
    ? ' 00:00:00:00:00:00 brd 00:00:00:00:00:00'
    : on.mac === null
      ? ''
      : ` ${on.mac} brd ff:ff:ff:ff:ff:ff`
  if (!isOfOneFamily) print(`    link/${linkType(on)}${hardware}`)
  for (const entry of on.addresses) {
    const broadcast = entry.broadcast === null || on.isLoopback ? '' : ` brd ${entry.broadcast}`
    const dynamic = entry.validFor === null ? [] : ['dynamic']
    const words = [`scope ${scopeOf(entry)}`, ...dynamic, ...flagOf(entry), ...(entry.family === 4 ? [on.name] : [])]
    print(`    ${familyName(entry.family)} ${entry.address}/${entry.prefixLength}${broadcast} ${words.join(' ')}`)
    print(`       valid_lft ${lifetime(entry.validFor)} preferred_lft ${lifetime(entry.preferredFor)}`)
  }
}

function linkJson(on: InterfaceState, isOfOneFamily: boolean): object {
  return {
    ifindex: on.index,
    ifname: on.name,
    flags: flagsOf(on),
    mtu: on.mtu,
    qdisc: 'noqueue',
    operstate: operState(on),
    group: 'default',
    ...(isOfOneFamily ? {} : hardwareJson(on)),
  }
}

function hardwareJson(on: InterfaceState): object {
  return {
    link_type: linkType(on),
    ...(on.isLoopback ? { address: '00:00:00:00:00:00', broadcast: '00:00:00:00:00:00' } : {}),
    ...(on.mac === null ? {} : { address: on.mac, broadcast: 'ff:ff:ff:ff:ff:ff' }),
  }
}

function addressJson(on: InterfaceState): object {
  return {
    addr_info: on.addresses.map((entry) => ({
      family: familyName(entry.family),
      local: entry.address,
      prefixlen: entry.prefixLength,
      ...(entry.broadcast === null || on.isLoopback ? {} : { broadcast: entry.broadcast }),
      scope: scopeOf(entry),
      ...Object.fromEntries(flagOf(entry).map((flag) => [flag, true])),
      ...(entry.family === 4 ? { label: on.name } : {}),
      valid_life_time: entry.validFor ?? FOREVER,
      preferred_life_time: entry.preferredFor ?? FOREVER,
    })),
  }
}

const protocolOf = ({ origin }: RouteState): string =>
  origin === 'connected' ? 'kernel' : origin === 'router-advertisement' ? 'ra' : 'static'
const destinationOf = ({ isDefault, prefix, family }: RouteState): string =>
  isDefault ? 'default' : prefix.replace(family === 4 ? '/32' : '/128', '')

function routeLine(route: RouteState): string {
  const words = [
    ...(route.kind === 'unicast' ? [] : [route.kind]),
    destinationOf(route),
    ...(route.gateway === null ? [] : ['via', route.gateway]),
    ...(route.kind === 'unicast' ? ['dev', route.interface] : []),
    'proto',
    protocolOf(route),
    ...(route.family === 4 && route.gateway === null && route.kind === 'unicast' ? ['scope', 'link'] : []),
    ...(route.source === null ? [] : ['src', route.source]),
    ...(route.metric === 0 ? [] : ['metric', String(route.metric)]),
    ...(route.family === 6 ? ['pref', 'medium'] : []),
  ]
  return words.join(' ')
}

function routeJson(route: RouteState): object {
  return {
    ...(route.kind === 'unicast' ? {} : { type: route.kind }),
    dst: destinationOf(route),
    ...(route.gateway === null ? {} : { gateway: route.gateway }),
    ...(route.kind === 'unicast' ? { dev: route.interface } : {}),
    protocol: protocolOf(route),
    ...(route.family === 4 && route.gateway === null && route.kind === 'unicast' ? { scope: 'link' } : {}),
    ...(route.source === null ? {} : { prefsrc: route.source }),
    ...(route.metric === 0 ? {} : { metric: route.metric }),
    flags: [],
    ...(route.family === 6 ? { pref: 'medium' } : {}),
  }
}

function neighborLine(row: NeighborRow): string {
  const words = [row.address, 'dev', row.interface]
  if (row.mac !== null) words.push('lladdr', row.mac)
  if (row.isRouter) words.push('router')
  return [...words, row.state].join(' ')
}

function neighborJson(row: NeighborRow): object {
  return {
    dst: row.address,
    dev: row.interface,
    ...(row.mac === null ? {} : { lladdr: row.mac }),
    ...(row.isRouter ? { router: null } : {}),
    state: [row.state],
  }
}
