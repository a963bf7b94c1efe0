// What the core may not name. The compiler already hides Node from it (tsconfig.core.json), but ECMAScript itself
// has a clock, randomness, and ways to depend on the garbage collector or the locale; and promises are for
// src/socket and above. Checked on the syntax tree, so comments and property names may say what they like.

import ts from 'typescript'
import { EDGE_LAYER, FALLBACK, LAYERS, STACK_LAYER } from '../../.dependency-cruiser.mjs'

/** One place where a file breaks a rule of the house. */
export interface Fault {
  readonly file: string
  readonly line: number
  readonly text: string
}

const BANNED_GLOBALS = new Map([
  ['Date', 'time is a parameter'],
  ['performance', 'time is a parameter'],
  ['Intl', 'it depends on the locale'],
  ['setTimeout', 'a timer is a field, polled'],
  ['setInterval', 'a timer is a field, polled'],
  ['setImmediate', 'a timer is a field, polled'],
  ['queueMicrotask', 'the core runs to completion'],
  ['process', 'the core does no I/O'],
  ['console', 'the core does no I/O'],
  ['Buffer', 'bytes are Uint8Array'],
  ['require', 'imports are static'],
  ['crypto', 'randomness is a constructor argument'],
  ['globalThis', 'it is a way round this check'],
  ['eval', 'it is a way round this check'],
  ['WeakRef', 'it depends on the garbage collector'],
  ['FinalizationRegistry', 'it depends on the garbage collector'],
])
const PROMISE_TYPES = new Set(['Promise', 'PromiseLike', 'AsyncIterable', 'AsyncIterator', 'AsyncGenerator'])
const LOCALE_METHODS = new Set(['toLocaleString', 'localeCompare', 'toLocaleLowerCase', 'toLocaleUpperCase'])

/** The files of src that do no I/O. */
export function isCore(file: string): boolean {
  return file.startsWith('src/') && layerOf(file) < EDGE_LAYER
}

/** The layer of a file of src; one that the table does not know counts as layer 0. */
export function layerOf(file: string): number {
  if (file === 'src/stack.ts') return STACK_LAYER
  if (file === 'src/index.ts') return EDGE_LAYER - 1
  if (file.startsWith(`${FALLBACK}/`)) return EDGE_LAYER
  return LAYERS.find(({ folders }) => folders.some((folder) => file.startsWith(`${folder}/`)))?.layer ?? 0
}

/** The banned names in a file of the core; none for any other file. */
export function findBans(file: string, text: string): Fault[] {
  if (!isCore(file)) return []
  const source = ts.createSourceFile(file, text, ts.ScriptTarget.ES2023, true)
  const promisesAllowed = layerOf(file) > STACK_LAYER
  const faults: Fault[] = []
  const visit = (node: ts.Node): void => {
    const why = banOf(node) ?? (promisesAllowed ? undefined : promiseIn(node))
    if (why !== undefined) faults.push({ file, line: lineOf(source, node), text: why })
    ts.forEachChild(node, visit)
  }
  visit(source)
  return faults
}

export function lineOf(source: ts.SourceFile, node: ts.Node): number {
  return source.getLineAndCharacterOfPosition(node.getStart(source)).line + 1
}

function banOf(node: ts.Node): string | undefined {
  if (ts.isPropertyAccessExpression(node) && LOCALE_METHODS.has(node.name.text))
    return `${node.name.text}: it depends on the locale`
  if (!ts.isIdentifier(node) || isPropertyName(node)) return undefined
  const why = BANNED_GLOBALS.get(node.text)
  if (why !== undefined) return `${node.text}: ${why}`
  if (node.text === 'Math' && !isHarmlessMath(node)) return 'Math.random: randomness is a constructor argument'
  return undefined
}

/** `Math.floor` and its like. `Math` in any other position could hide `random`. */
function isHarmlessMath(node: ts.Identifier): boolean {
  const { parent } = node
  return ts.isPropertyAccessExpression(parent) && parent.expression === node && parent.name.text !== 'random'
}

function promiseIn(node: ts.Node): string | undefined {
  const below = 'promises begin in src/socket'
  if (node.kind === ts.SyntaxKind.AsyncKeyword) return `async: ${below}`
  if (node.kind === ts.SyntaxKind.AwaitKeyword) return `await: ${below}`
  if (ts.isAwaitExpression(node)) return `await: ${below}`
  if (node.kind === ts.SyntaxKind.ImportKeyword && ts.isCallExpression(node.parent)) return `import(): ${below}`
  if (ts.isPropertyAccessExpression(node) && node.name.text === 'then') return `.then: ${below}`
  if (ts.isIdentifier(node) && PROMISE_TYPES.has(node.text) && !isPropertyName(node)) return `${node.text}: ${below}`
  return undefined
}

/** The identifier names a member of something, so it is not the global of that name. */
function isPropertyName(node: ts.Identifier): boolean {
  const { parent } = node
  if (ts.isPropertyAccessExpression(parent)) return parent.name === node
  if (ts.isQualifiedName(parent)) return parent.right === node
  if (ts.isBindingElement(parent)) return parent.propertyName === node
  if (ts.isPropertyAssignment(parent)) return parent.name === node
  return ts.isPropertyDeclaration(parent) ||
    ts.isPropertySignature(parent) ||
    ts.isMethodDeclaration(parent) ||
    ts.isMethodSignature(parent) ||
    ts.isGetAccessorDeclaration(parent) ||
    ts.isSetAccessorDeclaration(parent)
    ? parent.name === node
    : false
}
