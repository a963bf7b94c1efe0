// What a program can name of node:net, node:dgram and node:dns: the exports, prototypes and instances of the Node that
// runs, and the options, members and events of its type declarations. docs/node.md must have a row for each.

import dgram from 'node:dgram'
import dns from 'node:dns'
import { EventEmitter } from 'node:events'
import net from 'node:net'
import { Duplex } from 'node:stream'
import ts from 'typescript'
import { readOne } from './sources.ts'

/** Names that are of one kind, and the headings of docs/node.md under one of which each has its row. */
export interface Surface {
  readonly what: string
  readonly headings: readonly string[]
  readonly names: readonly string[]
}

/** What a table says of one name. */
export interface Verdict {
  readonly heading: string
  readonly name: string
  readonly verdict: string
}

export function surfaces(): Surface[] {
  const inNet = declaredIn('net')
  const inDgram = declaredIn('dgram')
  const inDns = declaredIn('dns')
  const resolver = ['dns: functions and classes']
  return [
    { what: 'net', headings: ['net: functions and classes'], names: Object.keys(net) },
    {
      what: 'net.Socket',
      headings: ['net.Socket: methods', 'net.Socket: properties'],
      names: [
        ...namesOn(net.Socket.prototype),
        ...ownOf(
          new net.Socket(),
          new Duplex().on('end', () => {}),
        ),
        ...inNet.members('Socket'),
        '_handle',
        'allowHalfOpen',
      ],
    },
    {
      what: 'the options of net.Socket',
      headings: ['net.Socket: options of the constructor and of connect()'],
      names: ['SocketConstructorOpts', 'ConnectOpts', 'TcpSocketConnectOpts', 'IpcSocketConnectOpts', 'OnReadOpts']
        .flatMap(inNet.members)
        .concat(inNet.members('TcpNetConnectOpts'), 'handle', 'highWaterMark'),
    },
    { what: 'the events of net.Socket', headings: ['net.Socket: events'], names: inNet.events('Socket') },
    {
      what: 'net.Server',
      headings: ['net.Server: methods and properties'],
      names: [
        ...namesOn(net.Server.prototype),
        ...ownOf(new net.Server(), new EventEmitter()),
        ...inNet.members('Server'),
      ],
    },
    {
      what: 'the options of net.Server',
      headings: ['net.Server: options of the constructor and of listen()'],
      names: [...inNet.members('ServerOpts'), ...inNet.members('ListenOptions'), 'signal', 'fd'],
    },
    {
      what: 'the events of net.Server',
      headings: ['net.Server: events'],
      names: [...inNet.events('Server'), ...inNet.members('DropArgument')],
    },
    { what: 'dgram', headings: ['dgram: functions and options'], names: Object.keys(dgram) },
    {
      what: 'the options of dgram',
      headings: ['dgram: functions and options'],
      names: [...inDgram.members('SocketOptions'), ...inDgram.members('BindOptions'), 'signal'],
    },
    {
      what: 'dgram.Socket',
      headings: ['dgram.Socket: methods'],
      names: [...namesOn(dgram.Socket.prototype), ...inDgram.members('Socket')],
    },
    { what: 'the events of dgram.Socket', headings: ['dgram.Socket: events'], names: inDgram.events('Socket') },
    { what: 'dns', headings: [...resolver, 'dns: options and constants'], names: Object.keys(dns) },
    {
      what: 'dns.promises',
      headings: [...resolver, 'dns: options and constants'],
      names: Object.keys(dns.promises),
    },
    {
      what: 'dns.Resolver',
      headings: resolver,
      names: [...namesOn(dns.Resolver.prototype), ...namesOn(Object.getPrototypeOf(dns.Resolver.prototype))],
    },
    {
      what: 'the options of dns',
      headings: ['dns: options and constants'],
      names: ['LookupOptions', 'ResolveOptions', 'ResolverOptions'].flatMap(inDns.members),
    },
  ]
}

/** Methods and properties; symbols as programs write them. What Node keeps for itself has symbols of its own. */
function namesOn(prototype: object): string[] {
  if (prototype === Object.prototype) return []
  const symbols = Object.getOwnPropertySymbols(prototype).flatMap(nameOfSymbol)
  return [...Object.getOwnPropertyNames(prototype).filter((name) => name !== 'constructor'), ...symbols]
}

function nameOfSymbol(symbol: symbol): string[] {
  if (symbol === Symbol.asyncDispose) return ['Symbol.asyncDispose']
  const key = Symbol.keyFor(symbol)
  return key === undefined ? [] : [`Symbol.for('${key}')`]
}

/** What an instance has beside what its parent gives it. */
const ownOf = (instance: object, parent: object): string[] =>
  Object.getOwnPropertyNames(instance).filter((name) => !Object.hasOwn(parent, name))

/** The type declarations of one module. */
function declaredIn(module: string): { members: (type: string) => string[]; events: (type: string) => string[] } {
  const file = `node_modules/@types/node/${module}.d.ts`
  const source = ts.createSourceFile(file, readOne(file).text, ts.ScriptTarget.ES2023, true)
  const types = new Map<string, readonly (ts.ClassElement | ts.TypeElement)[]>()
  const visit = (node: ts.Node): void => {
    if ((ts.isInterfaceDeclaration(node) || ts.isClassDeclaration(node)) && node.name !== undefined) {
      // A class may be told in two parts; its methods come first.
      types.set(node.name.text, [...(types.get(node.name.text) ?? []), ...node.members])
    }
    ts.forEachChild(node, visit)
  }
  visit(source)
  const of = (type: string): readonly (ts.ClassElement | ts.TypeElement)[] => {
    const members = types.get(type)
    if (members === undefined) throw new Error(`${file} has no ${type}`)
    return members
  }
  return {
    members: (type) =>
      of(type).flatMap((member) => (member.name === undefined ? [] : nameOfMember(member.name, source))),
    events: (type) => [...new Set(of(type).flatMap((member) => eventOf(member)))],
  }
}

/** The methods of EventEmitter are told once more for each event. */
const OF_EMITTER = new Set(Object.getOwnPropertyNames(EventEmitter.prototype))

function nameOfMember(name: ts.PropertyName, source: ts.SourceFile): string[] {
  const text = name.getText(source).replace(/^\[(.*)\]$/, '$1')
  return OF_EMITTER.has(text) ? [] : [text]
}

/** `on(event: 'close', …)`. */
function eventOf(member: ts.ClassElement | ts.TypeElement): string[] {
  if (!ts.isMethodDeclaration(member) || member.name.getText() !== 'on') return []
  const type = member.parameters[0]?.type
  if (type === undefined || !ts.isLiteralTypeNode(type) || !ts.isStringLiteral(type.literal)) return []
  return [type.literal.text]
}

/** The rows of the tables under headings: each name in code in the first column, with what the second one says first. */
export function readTables(text: string): Verdict[] {
  let heading = ''
  return text.split('\n').flatMap((line) => {
    heading = /^#+ (.*)/.exec(line)?.[1] ?? heading
    const [, first, second] = /^\| (.*?) \| (.*?) \|$/.exec(line) ?? []
    if (first === undefined || second === undefined) return []
    const [verdict = ''] = /^\w+/.exec(second) ?? []
    return [...first.matchAll(/`([^`]+)`/g)].map(([, code]) => ({ heading, name: nameOfCode(code!), verdict }))
  })
}

/** `listen(port[, host])` is listen; symbols stay as they are. */
const nameOfCode = (code: string): string => (code.startsWith('Symbol.') ? code : code.replace(/[^\w.].*$/, ''))

/** Names that no table has where it should be. */
export function findUntold(document: string, told: readonly Surface[]): string[] {
  const rows = readTables(document)
  return told.flatMap(({ what, headings, names }) =>
    [...new Set(names)]
      .filter((name) => !rows.some((row) => row.name === name && headings.includes(row.heading)))
      .map((name) => `${what}: ${name} has no row under '${headings.join(`' or '`)}'`),
  )
}
