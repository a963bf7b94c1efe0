// The rules of taste that a tool can check: what is too long to read in one sitting, what was left undone, what
// the compiler was told to overlook. Each finder takes a file's path and text, so that its test can plant a fault.

import ts from 'typescript'
import { type Fault, isCore, lineOf } from './bans.ts'

/** A file is read in one sitting: 400 lines, and some room for the last function. */
export const FILE_LINES = 450
/** A function fits on a screen: 70 lines, and some room for a long switch. */
export const FUNCTION_LINES = 80
/** What may be longer, and why: `src/folder/file.ts` or `src/folder/file.ts functionName`. */
export const ALLOWED_LONG = new Map<string, string>([])
/** A file is named for the one thing it owns. */
const NAMES_OF_NOTHING = /(^|\/)(utils?|helpers?|common|misc|types|shared)(\.ts$|\/)/
/** Written apart, or this file would find itself. */
const UNFINISHED = new RegExp(`\\b(${['TO' + 'DO', 'FIX' + 'ME', 'X' + 'XX'].join('|')})\\b`)

/** Files and functions that are too long and not excused in `allowed`. */
export function findLong(file: string, text: string, allowed: ReadonlyMap<string, string> = ALLOWED_LONG): Fault[] {
  const faults: Fault[] = []
  const lines = text.split('\n').length - 1
  if (lines > FILE_LINES && !allowed.has(file))
    faults.push({ file, line: 1, text: `the file has ${lines} lines, more than ${FILE_LINES}` })
  const source = ts.createSourceFile(file, text, ts.ScriptTarget.ES2023, true)
  const visit = (node: ts.Node): void => {
    if (ts.isFunctionLike(node) && 'body' in node && node.body !== undefined) {
      const name = nameOf(node)
      const length = source.getLineAndCharacterOfPosition(node.end).line + 2 - lineOf(source, node)
      if (length > FUNCTION_LINES && !allowed.has(`${file} ${name}`))
        faults.push({
          file,
          line: lineOf(source, node),
          text: `${name} has ${length} lines, more than ${FUNCTION_LINES}`,
        })
    }
    ts.forEachChild(node, visit)
  }
  visit(source)
  return faults
}

function nameOf(node: ts.Node & { readonly name?: ts.Node | undefined }): string {
  const named = node.name ?? (ts.isVariableDeclaration(node.parent) ? node.parent.name : undefined)
  if (named !== undefined && ts.isIdentifier(named)) return named.text
  return ts.isConstructorDeclaration(node) ? 'constructor' : 'a function'
}

/** Words that say a thing is not finished. */
export function findUnfinished(file: string, text: string): Fault[] {
  return text.split('\n').flatMap((line, index) => {
    const found = UNFINISHED.exec(line)
    return found === null ? [] : [{ file, line: index + 1, text: `${found[0]}: finish it, or write it into an issue` }]
  })
}

/** A file begins by saying what it owns. */
export function findMissingHeader(file: string, text: string): Fault[] {
  const begins = text.replace(/^#!.*\n/, '')
  return /^(\/\/|\/\*)/.test(begins) ? [] : [{ file, line: 1, text: 'the file does not begin by saying what it owns' }]
}

/** `any`, silenced compilers, inheritance in the core, files named for nothing. */
export function findShortcuts(file: string, text: string): Fault[] {
  const faults: Fault[] = []
  if (NAMES_OF_NOTHING.test(file)) faults.push({ file, line: 1, text: 'the name says nothing about what it owns' })
  const silenced = /^\s*(?:\/\/|\/\*)\s*@ts-(?:ignore|nocheck|expect-error)/
  for (const [index, line] of text.split('\n').entries())
    if (silenced.test(line)) faults.push({ file, line: index + 1, text: 'the compiler is silenced' })
  const source = ts.createSourceFile(file, text, ts.ScriptTarget.ES2023, true)
  const visit = (node: ts.Node): void => {
    if (node.kind === ts.SyntaxKind.AnyKeyword) faults.push({ file, line: lineOf(source, node), text: 'any' })
    if (isCore(file) && ts.isHeritageClause(node) && inherits(node))
      faults.push({ file, line: lineOf(source, node), text: 'a class of the core extends nothing but an Error' })
    ts.forEachChild(node, visit)
  }
  visit(source)
  return faults
}

function inherits(clause: ts.HeritageClause): boolean {
  if (clause.token !== ts.SyntaxKind.ExtendsKeyword || !ts.isClassLike(clause.parent)) return false
  return clause.types.some(({ expression }) => !/Error$/.test(expression.getText()))
}

/** Tests that keep the others from running, that wait to be written, or that CI would pass over without a word. */
export function findFocused(file: string, text: string): Fault[] {
  const source = ts.createSourceFile(file, text, ts.ScriptTarget.ES2023, true)
  const faults: Fault[] = []
  const visit = (node: ts.Node): void => {
    if (ts.isPropertyAccessExpression(node) && ['only', 'todo'].includes(node.name.text) && isTestCall(node))
      faults.push({ file, line: lineOf(source, node), text: `${node.getText(source)} must not be committed` })
    if (ts.isIdentifier(node) && node.text === 'hasTool')
      faults.push({
        file,
        line: lineOf(source, node),
        text: 'hasTool: needTool fails in CI where the program is missing',
      })
    ts.forEachChild(node, visit)
  }
  visit(source)
  return faults
}

export interface TestTitle {
  readonly file: string
  readonly line: number
  /** With the titles of the describes around it, ` > ` between. */
  readonly title: string
}

/** Every test of a file whose title is written out. */
export function testTitles(file: string, text: string): TestTitle[] {
  const source = ts.createSourceFile(file, text, ts.ScriptTarget.ES2023, true)
  const titles: TestTitle[] = []
  const visit = (node: ts.Node, around: string[]): void => {
    const own = titleOf(node)
    if (own === undefined) {
      ts.forEachChild(node, (child) => visit(child, around))
      return
    }
    const path = [...around, own.title]
    if (own.kind === 'test') titles.push({ file, line: lineOf(source, node), title: path.join(' > ') })
    ts.forEachChild(node, (child) => visit(child, path))
  }
  visit(source, [])
  return titles
}

/** Titles that occur twice: a failing one could not be told from its namesake, nor its capture. */
export function findDuplicateTitles(titles: readonly TestTitle[]): Fault[] {
  const first = new Map<string, TestTitle>()
  const faults: Fault[] = []
  for (const title of titles) {
    const other = first.get(title.title)
    if (other === undefined) first.set(title.title, title)
    else faults.push({ ...title, text: `"${title.title}" is also the title of ${other.file}:${other.line}` })
  }
  return faults
}

function titleOf(node: ts.Node): { kind: 'test' | 'describe'; title: string } | undefined {
  if (!ts.isCallExpression(node)) return undefined
  const root = rootOf(node.expression)
  const [title] = node.arguments
  if (root === undefined || title === undefined || !ts.isStringLiteralLike(title)) return undefined
  return { kind: root === 'describe' ? 'describe' : 'test', title: title.text }
}

function isTestCall(node: ts.Expression): boolean {
  return rootOf(node) !== undefined
}

/** The `test` of `test('…')`, `test.each(…)('…')`, `test.prop([…])('…')`; undefined for any other call. */
function rootOf(expression: ts.Expression): 'test' | 'describe' | undefined {
  let node = expression
  while (ts.isCallExpression(node) || ts.isPropertyAccessExpression(node)) node = node.expression
  if (!ts.isIdentifier(node)) return undefined
  if (node.text === 'test' || node.text === 'it') return 'test'
  return node.text === 'describe' ? 'describe' : undefined
}
