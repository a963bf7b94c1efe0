// Draws docs/architecture.md's picture of the layers from the imports in the code, and has docs/requirements.ts write
// what docs/rfc.md says of RFC 9293: `npm run docs`. What people wrote around the markers stays.
// test/house/architecture.test.ts and requirements.test.ts fail when either is no longer true.

import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { FALLBACK, LAYERS, STACK_LAYER } from '../.dependency-cruiser.mjs'
import { cruiseTree, ROOT } from '../test/house/dependencies.ts'
import { RFC_DOCUMENT, rewrite } from './requirements.ts'

export const DOCUMENT = 'docs/architecture.md'
const BEGIN = '<!-- layers: written by npm run docs -->'
const END = '<!-- end of layers -->'
/** Lines are told in hundreds, so that not every change of the code changes the document. */
const LINES_ROUNDED_TO = 100

/** A folder, or a file of src that stands for itself. */
interface Part {
  readonly name: string
  readonly layer: number | 'edge'
  files: number
  lines: number
  readonly imports: Set<string>
}

/** The document with its picture of the layers drawn anew. */
export async function redraw(document: string): Promise<string> {
  const from = document.indexOf(BEGIN)
  const to = document.indexOf(END)
  if (from < 0 || to < from) throw new Error(`${DOCUMENT} has lost its markers`)
  const parts = await findParts()
  const drawing = `\n\n${drawLayers(parts)}\n\n${tabulate(parts)}\n\n`
  return document.slice(0, from + BEGIN.length) + drawing + document.slice(to)
}

async function findParts(): Promise<Part[]> {
  const parts = new Map<string, Part>()
  const { modules } = await cruiseTree(ROOT)
  for (const { source, dependencies } of modules) {
    const name = partOf(source)
    if (name === undefined) continue
    const part = parts.get(name) ?? { name, layer: layerOf(name), files: 0, lines: 0, imports: new Set<string>() }
    parts.set(name, part)
    part.files++
    part.lines += readFileSync(join(ROOT, source), 'utf8').split('\n').length - 1
    for (const { resolved } of dependencies) {
      const target = partOf(resolved)
      if (target !== undefined && target !== name) part.imports.add(target)
    }
  }
  return [...parts.values()].sort((a, b) => rank(a) - rank(b) || (a.name < b.name ? -1 : 1))
}

/** The folder of a file; `src` for layer 0; undefined for what is not the product's. */
function partOf(file: string): string | undefined {
  if (file.startsWith(`${FALLBACK}/`)) return FALLBACK
  if (file === 'src/stack.ts' || file === 'src/index.ts') return file
  const folder = /^src(\/[^/]+(?=\/))?/.exec(file)
  return folder === null ? undefined : folder[0]
}

function layerOf(name: string): number | 'edge' {
  if (name === 'src') return 0
  if (name === 'src/stack.ts') return STACK_LAYER
  return LAYERS.find(({ folders }) => folders.includes(name))?.layer ?? 'edge'
}

const rank = ({ layer }: Part): number => (layer === 'edge' ? Number.MAX_SAFE_INTEGER : layer)

/** A mermaid drawing, lower layers below. An arrow that a longer way implies is left out, as are those to layer 0. */
function drawLayers(parts: readonly Part[]): string {
  const drawn = parts.filter(({ name }) => name !== 'src' && name !== 'src/index.ts')
  const lines = ['```mermaid', 'flowchart TD']
  for (const layer of [...new Set(drawn.map((part) => part.layer))].reverse()) {
    const members = drawn.filter((part) => part.layer === layer)
    lines.push(`  subgraph layer-${layer} [${layer === 'edge' ? 'beside' : `layer ${layer}`}]`)
    for (const { name } of members) lines.push(`    ${idOf(name)}["${name}"]`)
    lines.push('  end')
  }
  for (const part of [...drawn].reverse())
    for (const target of [...part.imports].sort())
      if (target !== 'src' && !isImplied(part, target, drawn)) lines.push(`  ${idOf(part.name)} --> ${idOf(target)}`)
  lines.push('```')
  return lines.join('\n')
}

function isImplied(part: Part, target: string, parts: readonly Part[]): boolean {
  const reaches = (from: string): boolean => {
    const next = parts.find(({ name }) => name === from)
    return next !== undefined && (next.imports.has(target) || [...next.imports].some(reaches))
  }
  return [...part.imports].some((other) => other !== target && reaches(other))
}

const idOf = (name: string): string => name.replace(/^src\//, '').replace(/[^a-z]/g, '-')

function tabulate(parts: readonly Part[]): string {
  const rows = parts.map(({ name, layer, files, lines, imports }) => {
    const rounded = Math.max(1, Math.round(lines / LINES_ROUNDED_TO)) * LINES_ROUNDED_TO
    const targets = [...imports].sort().map((target) => `\`${target}\``)
    return `| \`${name}\` | ${layer} | ${files} | ${rounded} | ${targets.join(', ')} |`
  })
  return ['| Folder | Layer | Files | Lines, about | Imports |', '|---|---|---|---|---|', ...rows].join('\n')
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const path = join(ROOT, DOCUMENT)
  writeFileSync(path, await redraw(readFileSync(path, 'utf8')))
  const rfcs = join(ROOT, RFC_DOCUMENT)
  writeFileSync(rfcs, rewrite(readFileSync(rfcs, 'utf8')))
  console.log(`${DOCUMENT}, ${RFC_DOCUMENT}: written`)
}
