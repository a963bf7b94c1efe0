// What a program does with node:dgram, written once and run against Node's own and against ours: dgram.test.ts compares
// what each of them saw.

import type dgramModule from 'node:dgram'
import { once } from 'node:events'

export type Dgram = typeof dgramModule
export type Note = (label: string, value?: unknown) => void
export type Scenario = (dgram: Dgram, trace: Trace) => Promise<void>

/** A log in which what differs from run to run has a name: ports, and times not at all. */
export class Trace {
  readonly lines: string[] = []
  private readonly names = new Map<number, string>()

  /** Calls a port by a name from now on. */
  name(port: number, name: string): number {
    this.names.set(port, name)
    return port
  }

  readonly note: Note = (label, value) => {
    const text = value === undefined ? label : `${label} ${JSON.stringify(visible(value))}`
    this.lines.push(text.replace(/\b\d{4,5}\b/g, (digits) => this.names.get(Number(digits)) ?? digits))
  }

  /** What `act` gives or throws. */
  attempt(label: string, act: () => unknown): void {
    try {
      this.note(label, act())
    } catch (error) {
      this.note(label, error)
    }
  }
}

/** All of a value that a program can see; errors with their keys in order. */
export function visible(value: unknown): unknown {
  if (value instanceof Error) {
    const fields = Object.entries(value).map(([key, field]) => [key, visible(field)])
    return { error: String(value), constructor: value.constructor.name.replace('NodeError', 'Error'), fields }
  }
  if (value instanceof Uint8Array) return `${value.constructor.name}(${Buffer.from(value).toString('latin1')})`
  if (Array.isArray(value)) return value.map(visible)
  if (typeof value === 'function') return 'function'
  if (typeof value === 'object' && value !== null && value.constructor.name === 'Socket') return 'Socket'
  return value === undefined ? 'undefined' : value
}

type Socket = ReturnType<Dgram['createSocket']>
/** Arguments that no type allows. */
const wrong = <T>(value: unknown): T => value as T

function listen(trace: Trace, name: string, socket: Socket): Socket {
  for (const event of ['listening', 'connect', 'close'] as const) socket.on(event, () => trace.note(`${name}:${event}`))
  socket.on('error', (error) => trace.note(`${name}:error`, error))
  socket.on('message', (bytes, from) => trace.note(`${name}:message`, [bytes, from]))
  return socket
}

async function bound(trace: Trace, dgram: Dgram, name: string, type: 'udp4' | 'udp6' = 'udp4'): Promise<Socket> {
  const socket = listen(trace, name, dgram.createSocket(type))
  socket.bind(0, type === 'udp4' ? '127.0.0.1' : '::1')
  await once(socket, 'listening')
  trace.name(socket.address().port, name.toUpperCase())
  return socket
}

const closed = (socket: Socket): Promise<unknown> => once(socket.close(), 'close')
const sent = (socket: Socket, ...given: unknown[]): Promise<void> =>
  new Promise((resolve) => {
    Reflect.apply(socket.send, socket, [...given, () => resolve()])
  })
const tick = (): Promise<void> => new Promise((resolve) => setImmediate(resolve))

const lifecycle: Scenario = async (dgram, trace) => {
  const a = listen(
    trace,
    'a',
    dgram.createSocket('udp4', (bytes) => trace.note('first listener', bytes)),
  )
  trace.attempt('bind', () => a.bind(0, '127.0.0.1', () => trace.note('bind callback')))
  process.nextTick(() => trace.note('tick'))
  trace.note('sync')
  await once(a, 'listening')
  const { port } = a.address()
  trace.name(port, 'A')
  trace.attempt('address', () => a.address())
  const b = listen(trace, 'b', dgram.createSocket({ type: 'udp4' }))
  b.once('listening', () => trace.name(b.address().port, 'B'))
  b.send('one', port, '127.0.0.1', (...result) => trace.note('sent one', result))
  b.send(['t', Buffer.from('w'), new Uint8Array([111])], port, (...result) => trace.note('sent two', result))
  b.send('xxthreexx', 2, 5, port, '127.0.0.1', (...result) => trace.note('sent three', result))
  trace.note('queued')
  await once(a, 'message')
  const heard = async (count: number): Promise<void> => {
    while (trace.lines.filter((line) => line.startsWith('a:message')).length < count) await tick()
  }
  await heard(3)
  // By itself: how long a name takes to be found is the system's affair.
  b.send([], port, 'localhost', (...result) => trace.note('sent none', result))
  await heard(4)
  trace.attempt('address of b', () => ({ ...b.address(), port: 0 }))
  trace.attempt('queue', () => [b.getSendQueueCount(), b.getSendQueueSize()])
  trace.attempt('close', () => a.close(() => trace.note('close callback')))
  trace.note('closing')
  await once(a, 'close')
  await closed(b)
}

const order: Scenario = async (dgram, trace) => {
  const a = await bound(trace, dgram, 'a')
  const b = await bound(trace, dgram, 'b')
  a.on('message', () => {
    trace.note('handler')
    process.nextTick(() => trace.note('tick'))
    queueMicrotask(() => trace.note('microtask'))
  })
  for (let index = 0; index < 3; index++) b.send(String(index), a.address().port, '127.0.0.1')
  while (trace.lines.filter((line) => line === 'microtask').length < 3) await tick()
  a.close()
  b.close()
  await Promise.all([once(a, 'close'), once(b, 'close')])
}

const closingWhileBinding: Scenario = async (dgram, trace) => {
  const a = listen(trace, 'a', dgram.createSocket('udp4'))
  a.bind(0, '127.0.0.1')
  a.close(() => trace.note('closed at once'))
  trace.attempt('again', () => a.close())
  await once(a, 'close')
  await tick()
  const b = listen(trace, 'b', dgram.createSocket('udp4'))
  b.send('x', 9, '127.0.0.1', () => trace.note('sent before the close that was queued'))
  b.close()
  trace.note('not closed yet')
  await once(b, 'close')
  const never = listen(trace, 'never', dgram.createSocket('udp4'))
  await closed(never)
}

const connected: Scenario = async (dgram, trace) => {
  const a = await bound(trace, dgram, 'a')
  const b = listen(trace, 'b', dgram.createSocket('udp4'))
  const stranger = await bound(trace, dgram, 's')
  const free = await bound(trace, dgram, 'free')
  const { port } = free.address()
  await closed(free)
  // A port of its own choice: one that the system chose is lost when a Linux socket is disconnected.
  b.bind(port, '127.0.0.1')
  await once(b, 'listening')
  trace.attempt('not connected', () => b.remoteAddress())
  trace.attempt('disconnect', () => b.disconnect())
  b.connect(a.address().port, '127.0.0.1', (...result: unknown[]) => trace.note('connect callback', result))
  trace.attempt('twice', () => b.connect(1))
  await once(b, 'connect')
  trace.attempt('address', () => [b.address(), b.remoteAddress()])
  trace.attempt('a port is no callback', () => b.send('x', 9, wrong('127.0.0.1')))
  await once(a, 'message')
  trace.attempt('send slice to', () => b.send('x', 0, 1, 9, '127.0.0.1'))
  b.send('hello', (...result) => trace.note('sent', result))
  await once(a, 'message')
  b.send('xhellox', 1, 5, (...result) => trace.note('sent slice', result))
  await once(a, 'message')
  await sent(stranger, 'not for b', b.address().port, '127.0.0.1')
  a.send('for b', b.address().port, '127.0.0.1')
  await once(b, 'message')
  b.disconnect()
  trace.attempt('disconnected', () => b.remoteAddress())
  stranger.send('now for b', b.address().port, '127.0.0.1')
  await once(b, 'message')
  for (const socket of [a, b, stranger]) await closed(socket)
}

const refused: Scenario = async (dgram, trace) => {
  const gone = await bound(trace, dgram, 'gone')
  const { port } = gone.address()
  await closed(gone)
  const a = await bound(trace, dgram, 'a')
  // Unconnected: nobody hears of it.
  await sent(a, 'x', port, '127.0.0.1')
  a.connect(port, '127.0.0.1')
  await once(a, 'connect')
  a.send('x')
  await new Promise((resolve) => a.once('error', resolve))
  await closed(a)
  const bad = listen(trace, 'bad', dgram.createSocket('udp4'))
  bad.connect(9, '::1', (error?: Error) => trace.note('connect', error))
  await once(bad, 'listening')
  await tick()
  await closed(bad)
}

const binding: Scenario = async (dgram, trace) => {
  const a = await bound(trace, dgram, 'a')
  const { port } = a.address()
  const b = listen(trace, 'b', dgram.createSocket('udp4'))
  trace.attempt('bind', () => b.bind(port, '127.0.0.1', () => trace.note('never')))
  trace.attempt('while binding', () => b.bind(0))
  await new Promise((resolve) => b.once('error', resolve))
  b.bind(0, '198.51.100.9')
  await new Promise((resolve) => b.once('error', resolve))
  b.bind(0, '::1')
  await new Promise((resolve) => b.once('error', resolve))
  b.bind({ port: 0, address: '127.0.0.1', exclusive: true }, () => trace.note('bound at last'))
  await once(b, 'listening')
  trace.attempt('again', () => b.bind(0))
  await closed(b)
  const c = listen(trace, 'c', dgram.createSocket({ type: 'udp4', reuseAddr: true }))
  c.bind(port, '127.0.0.1')
  await new Promise((resolve) => c.once('error', resolve))
  const first = dgram.createSocket({ type: 'udp4', reuseAddr: true })
  first.bind(0, '127.0.0.1')
  await once(first, 'listening')
  trace.name(first.address().port, 'SHARED')
  first.on('message', (bytes) => trace.note('the first got', bytes))
  c.bind(first.address().port, '127.0.0.1')
  await once(c, 'listening')
  a.send('to the last', c.address().port, '127.0.0.1')
  await once(c, 'message')
  for (const socket of [a, c, first]) await closed(socket)
}

const sendErrors: Scenario = async (dgram, trace) => {
  const a = await bound(trace, dgram, 'a')
  const attempts: [string, unknown, ...unknown[]][] = [
    ['too long', Buffer.alloc(65_508), 9, '127.0.0.1'],
    ['other family', 'x', 9, '::1'],
    ['broadcast', 'x', 9, '255.255.255.255'],
  ]
  for (const [label, ...given] of attempts) {
    await new Promise<void>((resolve) => {
      Reflect.apply(a.send, a, [...given, (...result: unknown[]) => resolve(trace.note(label, result))])
    })
  }
  a.send(Buffer.alloc(65_508), 9, '127.0.0.1')
  trace.note('nobody hears of it without a callback')
  await tick()
  const strings = dgram.createSocket({
    type: 'udp4',
    lookup: (name, family, callback) => {
      trace.note('lookup', [name, family])
      if (name === 'bad.test') process.nextTick(callback, new Error('no such name'), '', 0)
      else process.nextTick(callback, null, '127.0.0.1', 4)
    },
  })
  listen(trace, 'strings', strings)
  strings.bind(0, 'here.test')
  await once(strings, 'listening')
  strings.send('by name', a.address().port, 'there.test')
  trace.name(strings.address().port, 'STRINGS')
  await once(a, 'message')
  strings.send('x', 9, 'bad.test', (...result) => trace.note('sent', result))
  strings.send('x', 9, 'bad.test')
  await new Promise((resolve) => strings.once('error', resolve))
  await closed(strings)
  await closed(a)
}

const misuse: Scenario = async (dgram, trace) => {
  const types = [wrong(undefined), wrong('udp5'), wrong(null), wrong({}), wrong(5)] as 'udp4'[]
  for (const [index, type] of types.entries()) trace.attempt(`type ${index}`, () => dgram.createSocket(type))
  const options: object[] = [
    { recvBufferSize: 'a' },
    { recvBufferSize: 1.5 },
    { sendBufferSize: -1 },
    { sendBufferSize: 2 ** 32 },
    { lookup: 3 },
    { signal: 3 },
    { signal: {} },
  ]
  for (const [index, one] of options.entries())
    trace.attempt(`option ${index}`, () => dgram.createSocket(wrong({ type: 'udp4', ...one })))
  const s = listen(trace, 's', dgram.createSocket('udp4'))
  const calls = (): [string, () => unknown][] => [
    ['getRecvBufferSize', () => s.getRecvBufferSize()],
    ['getSendBufferSize', () => s.getSendBufferSize()],
    ['setRecvBufferSize -1', () => s.setRecvBufferSize(-1)],
    ['setSendBufferSize a', () => s.setSendBufferSize(wrong('a'))],
    ['address', () => s.address()],
    ['remoteAddress', () => s.remoteAddress()],
    ['setTTL x', () => s.setTTL(wrong('x'))],
    ['setTTL 1', () => s.setTTL(1)],
    ['setTTL 0', () => s.setTTL(0)],
    ['setTTL 256', () => s.setTTL(256)],
    ['setBroadcast', () => s.setBroadcast(true)],
    ['setMulticastTTL', () => [s.setMulticastTTL(0), s.setMulticastTTL(255)]],
    ['setMulticastTTL -1', () => s.setMulticastTTL(-1)],
    ['setMulticastTTL 256', () => s.setMulticastTTL(256)],
    ['setMulticastTTL x', () => s.setMulticastTTL(wrong('x'))],
    ['setMulticastLoopback', () => s.setMulticastLoopback(true)],
    ['setMulticastInterface', () => s.setMulticastInterface('127.0.0.1')],
    ['setMulticastInterface nonsense', () => s.setMulticastInterface('nonsense')],
    ['setMulticastInterface 5', () => s.setMulticastInterface(wrong(5))],
    ['addMembership', () => s.addMembership(wrong(undefined))],
    ['dropMembership', () => s.dropMembership('')],
    ['addSourceSpecificMembership 5', () => s.addSourceSpecificMembership(wrong(5), '232.1.1.1')],
    ['dropSourceSpecificMembership 5', () => s.dropSourceSpecificMembership('1.2.3.4', wrong(5))],
    ['sendto', () => Reflect.apply(Reflect.get(s, 'sendto'), s, ['x', 'y', 1, 1, 'z'])],
    ['send slice, no port', () => s.send('a', 1, 2, wrong('9'))],
    ['send offset', () => s.send('a', 3, 0, 9)],
    ['send length', () => s.send('a', 0, 9, 9)],
    ['send port', () => s.send('a', 70_000)],
    ['send port -1', () => s.send('a', -1)],
    ['send no port', () => s.send('a')],
    ['send 5', () => s.send(wrong(5), 9)],
    ['send [5]', () => s.send(wrong([5]), 9)],
    ['send address 5', () => s.send('a', 9, wrong(5))],
    ['connect 0', () => s.connect(0)],
    ['connect text', () => s.connect(wrong('text'))],
    ['connect {}', () => s.connect(9, wrong({}))],
    ['disconnect', () => s.disconnect()],
    ['ref', () => [s.ref(), s.unref()]],
  ]
  for (const [label, call] of calls()) trace.attempt(`unbound: ${label}`, call)
  s.bind(0, '127.0.0.1')
  await once(s, 'listening')
  trace.name(s.address().port, 'S')
  trace.attempt('more than an int', () => s.setRecvBufferSize(2 ** 31))
  trace.attempt('sizes', () => [s.setSendBufferSize(1), s.getSendBufferSize() > 1, s.setRecvBufferSize(100_000)])
  const bound = calls().filter(([label]) => !label.startsWith('get'))
  for (const [label, call] of bound) trace.attempt(`bound: ${label}`, call)
  await closed(s)
  for (const [label, call] of calls()) trace.attempt(`closed: ${label}`, call)
  for (const [label, call] of [
    ['bind', () => s.bind()],
    ['close', () => s.close()],
    ['send', () => s.send('a', 9)],
  ] as const)
    trace.attempt(`closed: ${label}`, call)
}

/** What is sent elsewhere while a socket connects finds it connected. */
const sentMeanwhile: Scenario = async (dgram, trace) => {
  const a = await bound(trace, dgram, 'a')
  const b = await bound(trace, dgram, 'b')
  b.connect(a.address().port, '127.0.0.1')
  await new Promise<void>((resolve) => {
    b.send('late', a.address().port, '127.0.0.1', (error) => {
      trace.note('late', error)
      resolve()
    })
  })
  await closed(a)
  await closed(b)
}

/** IPv4 has no such option. */
const onlySix: Scenario = async (dgram, trace) => {
  const s = listen(trace, 's', dgram.createSocket({ type: 'udp4', ipv6Only: true }))
  s.bind(0, '127.0.0.1')
  await once(s, 'error').catch(() => {})
  await closed(s)
}

const groups: Scenario = async (dgram, trace) => {
  const a = await bound(trace, dgram, 'a')
  const member = listen(trace, 'm', dgram.createSocket({ type: 'udp4', reuseAddr: true }))
  member.bind(0)
  await once(member, 'listening')
  const { port } = member.address()
  trace.name(port, 'M')
  trace.attempt('no group', () => member.addMembership('10.0.0.1'))
  trace.attempt('no group of the other family', () => member.addMembership('::1'))
  trace.attempt('nonsense', () => member.addMembership('nonsense'))
  trace.attempt('nonsense interface', () => member.addMembership('239.1.1.1', 'nonsense'))
  trace.attempt('no interface', () => member.addMembership('239.1.1.1', '198.51.100.9'))
  trace.attempt('add', () => member.addMembership('239.1.1.1', '127.0.0.1'))
  trace.attempt('add again', () => member.addMembership('239.1.1.1', '127.0.0.1'))
  trace.attempt('drop another', () => member.dropMembership('239.1.1.2', '127.0.0.1'))
  trace.attempt('other family', () => a.setMulticastInterface('::1'))
  trace.attempt('not ours', () => a.setMulticastInterface('198.51.100.9'))
  trace.attempt('interface', () => a.setMulticastInterface('127.0.0.1'))
  a.send('for the group', port, '239.1.1.1')
  await once(member, 'message')
  trace.attempt('drop', () => member.dropMembership('239.1.1.1', '127.0.0.1'))
  trace.attempt('drop twice', () => member.dropMembership('239.1.1.1', '127.0.0.1'))
  const source = (from: string) => () => member.addSourceSpecificMembership(from, '232.1.1.1', '127.0.0.1')
  trace.attempt('source', source('127.0.0.2'))
  trace.attempt('source twice', source('127.0.0.2'))
  trace.attempt('second source', source('127.0.0.1'))
  a.send('from a source', port, '232.1.1.1')
  await once(member, 'message')
  for (const from of ['127.0.0.1', '127.0.0.9', '127.0.0.2', '127.0.0.2'])
    trace.attempt(`no source ${from}`, () => member.dropSourceSpecificMembership(from, '232.1.1.1', '127.0.0.1'))
  await closed(member)
  await closed(a)
}

const six: Scenario = async (dgram, trace) => {
  const a = await bound(trace, dgram, 'a', 'udp6')
  const both = listen(trace, 'both', dgram.createSocket('udp6'))
  both.bind()
  await once(both, 'listening')
  const { port } = both.address()
  trace.name(port, 'BOTH')
  trace.attempt('addresses', () => [a.address(), both.address()])
  a.send('six', port)
  await once(both, 'message')
  const four = await bound(trace, dgram, 'four')
  four.send('four', port, '127.0.0.1')
  await once(both, 'message')
  both.send('back', four.address().port, '::ffff:127.0.0.1')
  await once(four, 'message')
  await new Promise<void>((resolve) => {
    both.send('x', 9, '127.0.0.1', (...result) => resolve(trace.note('a literal of the other family', result)))
  })
  trace.attempt('group of the other family', () => a.addMembership('239.1.1.1'))
  for (const socket of [a, both, four]) await closed(socket)
}

const aborting: Scenario = async (dgram, trace) => {
  const already = listen(trace, 'already', dgram.createSocket({ type: 'udp4', signal: AbortSignal.abort() }))
  await once(already, 'close')
  const controller = new AbortController()
  const a = listen(trace, 'a', dgram.createSocket({ type: 'udp4', signal: controller.signal }))
  a.bind(0, '127.0.0.1')
  await once(a, 'listening')
  controller.abort()
  await once(a, 'close')
  controller.abort()
  const b = await bound(trace, dgram, 'b')
  const dispose = Reflect.get(b, Symbol.asyncDispose) as () => Promise<void>
  trace.note('dispose', await dispose.call(b))
  trace.note('dispose again', await dispose.call(b))
}

const shape: Scenario = async (dgram, trace) => {
  const socket = dgram.createSocket('udp4')
  trace.note('keys', Object.keys(socket))
  trace.note('type', Reflect.get(socket, 'type'))
  trace.note('instance', [socket instanceof dgram.Socket, socket.constructor.name, 'once' in socket])
  const methods = Object.getOwnPropertyNames(Object.getPrototypeOf(dgram.createSocket('udp4').close()))
  trace.note(
    'module',
    Object.keys(dgram).filter((name) => !name.startsWith('_')),
  )
  trace.note('methods', methods.filter((name) => name === 'constructor').length)
  socket.close()
}

export const SCENARIOS: Readonly<Record<string, Scenario>> = {
  'a life from bind to close': lifecycle,
  'the order of messages, ticks and microtasks': order,
  'closing while the bind is under way': closingWhileBinding,
  'a connected socket': connected,
  'a peer that nobody listens for': refused,
  'binds that fail, and ports that are shared': binding,
  'sends that fail, and a lookup of one’s own': sendErrors,
  'misuse in every state': misuse,
  'groups and sources': groups,
  'sending while it connects': sentMeanwhile,
  'IPv6 alone, on IPv4': onlySix,
  'udp6, with IPv4 on the same socket': six,
  'signals and disposal': aborting,
  'the shape of a socket': shape,
}
