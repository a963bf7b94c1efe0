// docs/node.md has a row for whatever a program can name of node:net, node:dgram and node:dns, and what it says of that is so.

import dgram from 'node:dgram'
import dns from 'node:dns'
import net from 'node:net'
import { afterAll, expect, test } from 'vitest'
import { makeDgram } from '../../src/node/dgram/dgram.ts'
import { makeDns } from '../../src/node/dns/dns.ts'
import { localHost } from '../support/net-host.ts'
import { findUntold, readTables, surfaces } from './node-surface.ts'
import { readOne } from './sources.ts'

const { text } = readOne('docs/node.md')
const rows = readTables(text)
const told = surfaces()
const host = localHost()
afterAll(() => host.close())

test('docs/node.md has a row for each export, method, property, option and event of node:net, dgram and dns', () => {
  expect(findUntold(text, told)).toEqual([])
})

test('each row of docs/node.md begins with works, differs or not', () => {
  expect(rows.filter(({ verdict }) => !['works', 'differs', 'not'].includes(verdict))).toEqual([])
})

test('a name that Node has and no table, or the table of another kind, is noticed', () => {
  const planted = [{ what: 'net', headings: ['net: a', 'net: b'], names: ['one', 'two', 'three'] }]
  const document = '### net: a\n\n| `one(x[, y])`, `z` | works |\n\n### other\n\n| `two` | works |\n'
  expect(findUntold(document, planted)).toEqual([
    "net: two has no row under 'net: a' or 'net: b'",
    "net: three has no row under 'net: a' or 'net: b'",
  ])
})

test('a row that is taken out of docs/node.md is missed, name by name', () => {
  const row = text.split('\n').find((line) => line.startsWith('| `BlockList`'))!
  const names = ['BlockList', 'SocketAddress', 'isIP', 'isIPv4', 'isIPv6']
  const missed = names.map((name) => `net: ${name} has no row under 'net: functions and classes'`)
  expect(findUntold(text.replace(row, ''), told)).toEqual(missed)
})

/** Each object of Node's, ours in its place, and the headings of what it has. */
const PLACES: readonly [string, object, () => object, string[]][] = [
  ['net', net, () => host.net, ['net: functions and classes']],
  ['net.Socket', net.Socket.prototype, () => host.net.Socket.prototype, ['net.Socket: methods']],
  ['net.Server', net.Server.prototype, () => host.net.Server.prototype, ['net.Server: methods and properties']],
  ['dgram', dgram, () => makeDgram(host.stack, { lookup: dns.lookup }), ['dgram: functions and options']],
  [
    'dgram.Socket',
    dgram.Socket.prototype,
    () => makeDgram(host.stack, { lookup: dns.lookup }).Socket.prototype,
    ['dgram.Socket: methods'],
  ],
  ['dns', dns, () => makeDns(host.stack), ['dns: functions and classes', 'dns: options and constants']],
  [
    'dns.promises',
    dns.promises,
    () => makeDns(host.stack).promises,
    ['dns: functions and classes', 'dns: options and constants'],
  ],
  [
    'dns.Resolver',
    dns.Resolver.prototype,
    () => makeDns(host.stack).Resolver.prototype,
    ['dns: functions and classes'],
  ],
]

test.each(PLACES)(
  '%s: what docs/node.md calls not is missing in ours, and all else that Node has is there',
  (_title, node, make, headings) => {
    const ours = make()
    const wrong = Object.getOwnPropertyNames(node).filter((name) => {
      if (name === 'constructor') return false
      const row = rows.find((one) => one.name === name && headings.includes(one.heading))
      return row !== undefined && (row.verdict === 'not') === name in ours
    })
    expect(wrong).toEqual([])
  },
)

test.each([
  ['net', net],
  ['dgram', dgram],
  ['dns', dns],
])('hourglass/%s exports by name what Node exports and docs/node.md does not call not', (module, node) => {
  const exported = new Set(readOne(`src/node/process/${module}.ts`).text.match(/\w+/g))
  const refused = new Set(rows.filter(({ verdict }) => verdict === 'not').map(({ name }) => name))
  expect(Object.keys(node).filter((name) => !exported.has(name) && !refused.has(name))).toEqual([])
})
