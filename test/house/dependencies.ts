// Who imports whom, found by dependency-cruiser under the rules of .dependency-cruiser.mjs. Used by the layer
// check (layers.ts), its test, and the drawing of docs/generate.ts.

import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { cruise, type ICruiseResult, type IViolation } from 'dependency-cruiser'
import ts from 'typescript'
import configuration, { FALLBACK } from '../../.dependency-cruiser.mjs'

export const ROOT = fileURLToPath(new URL('../..', import.meta.url)).replace(/\/$/, '')
/** The folders that the rules speak of. */
export const PRODUCT_FOLDERS = ['src', FALLBACK]
/** They are entry points of the package: re-exporting is what they are for. */
const ENTRY_POINTS = ['src/index.ts', 'src/node/index.ts']

export interface Violation {
  readonly rule: string
  /** `src/wire/arp.ts -> src/ip/arp.ts`, or the one file at fault. */
  readonly where: string
  readonly why: string
}

/** Every file of the product under `root`, with its imports, types included, and the rules they break. */
export async function cruiseTree(root: string): Promise<ICruiseResult> {
  const folders = PRODUCT_FOLDERS.filter((folder) => existsSync(join(root, folder)))
  const { output } = await cruise(folders, {
    ...configuration.options,
    ruleSet: { forbidden: configuration.forbidden ?? [] },
    validate: true,
    baseDir: root,
  })
  if (typeof output === 'string') throw new Error(`dependency-cruiser answered in words: ${output}`)
  return output
}

/** Broken layer rules and barrels under `root`, in a stable order. */
export async function findViolations(root: string): Promise<Violation[]> {
  const result = await cruiseTree(root)
  const barrels = result.modules
    .map(({ source }) => source)
    .filter((file) => PRODUCT_FOLDERS.includes(file.split('/')[0]!) && isBarrel(root, file))
    .map((file) => ({ rule: 'no-barrels', where: file, why: 're-exporting hides layers: import the file itself' }))
  const broken = [...result.summary.violations.map(fromCruiser), ...barrels]
  return broken.sort((a, b) => `${a.where} ${a.rule}`.localeCompare(`${b.where} ${b.rule}`, 'en'))
}

function fromCruiser(violation: IViolation): Violation {
  const { rule, from, to, cycle } = violation
  const path = cycle === undefined ? [from, to] : [from, ...cycle.map(({ name }) => name)]
  const where = from === to ? from : path.join(' -> ')
  return { rule: rule.name, where, why: violation.comment ?? commentOf(rule.name) }
}

function commentOf(name: string): string {
  return configuration.forbidden?.find((rule) => rule.name === name)?.comment ?? ''
}

/** All that the file does is to pass on what others declare; what is Node's has no layer. */
function isBarrel(root: string, file: string): boolean {
  if (ENTRY_POINTS.includes(file) || !file.endsWith('.ts')) return false
  const { statements } = ts.createSourceFile(file, readFileSync(join(root, file), 'utf8'), ts.ScriptTarget.ES2023)
  const sources = statements.map((statement) =>
    ts.isExportDeclaration(statement) && statement.moduleSpecifier !== undefined
      ? (statement.moduleSpecifier as ts.StringLiteral).text
      : null,
  )
  return sources.every((source) => source !== null) && sources.some((source) => !source.startsWith('node:'))
}
