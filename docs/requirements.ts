// Which test proves which numbered requirement of RFC 9293: reads the tags in the titles of the tests and packet
// scripts, holds them against docs/rfc9293.ts, and writes the tables into docs/rfc.md. `npm run docs` and
// test/house/requirements.test.ts call it.

import { scriptFiles } from '../test/drill/scripts.ts'
import { readTree } from '../test/house/sources.ts'
import { testTitles } from '../test/house/tidy.ts'
import { REQUIREMENTS, type Requirement } from './rfc9293.ts'

export const RFC_DOCUMENT = 'docs/rfc.md'
const BEGIN = '<!-- RFC 9293: written by npm run docs -->'
const END = '<!-- end of RFC 9293 -->'
/** `RFC 9293 §3.6, MUST-12: ` before a script's title, ` (RFC 9293 §3.6, MUST-12)` behind a test's. */
const CITATIONS = /^RFC \d[^:]*: | \([^()]*\b(?:RFC \d|MUST-|SHLD-)[^()]*\)/g
const TAG = /\b(?:MUST|SHLD)-\d+\b/g

/** A test, or a packet script, that names requirements in its title. */
export interface Proof {
  /** Relative to the root of the project. */
  readonly file: string
  readonly title: string
  readonly tags: readonly string[]
}

/** Every proof of the test suite: titles of test/**, first lines of the packet scripts that are run. */
export function findProofs(): Proof[] {
  const tests = readTree(['test'], '.test.ts').flatMap(({ file, text }) => testTitles(file, text))
  const scripts = scriptFiles().map(({ name, text }) => ({
    file: `test/drill/${name}`,
    title: text.split('\n', 1)[0]!.replace(/^\/\/ /, ''),
  }))
  return [...tests, ...scripts].map(proofOf).filter(({ tags }) => tags.length > 0)
}

/** The proof that a title is. */
export function proofOf({ file, title }: { readonly file: string; readonly title: string }): Proof {
  return { file, title, tags: [...new Set(title.match(TAG) ?? [])] }
}

/** What does not fit together: a tag of nothing, a requirement that nothing speaks for, an excuse that is no longer one. */
export function findGaps(requirements: readonly Requirement[], proofs: readonly Proof[]): string[] {
  const ids = new Set(requirements.map(({ id }) => id))
  const proven = new Set(proofs.flatMap(({ tags }) => tags))
  const unknown = proofs.flatMap(({ file, title, tags }) =>
    tags.filter((tag) => !ids.has(tag)).map((tag) => `${file}: "${title}": RFC 9293 has no ${tag}`),
  )
  const gaps = requirements.flatMap(({ id, untested }) => {
    if (untested === undefined && !proven.has(id))
      return [`${id}: no test names it, and docs/rfc9293.ts does not say why`]
    if (untested !== undefined && proven.has(id))
      return [`${id}: docs/rfc9293.ts says that no test names it, but one does`]
    return []
  })
  return [...unknown, ...gaps]
}

/** The document with its tables of RFC 9293 written anew. */
export function rewrite(document: string, requirements = REQUIREMENTS, proofs = findProofs()): string {
  const from = document.indexOf(BEGIN)
  const to = document.indexOf(END)
  if (from < 0 || to < from) throw new Error(`${RFC_DOCUMENT} has lost its markers`)
  const parts = [
    ...section('MUST', 'MUST and MUST NOT', requirements, proofs),
    ...section('SHLD', 'SHOULD and SHOULD NOT', requirements, proofs),
  ]
  return `${document.slice(0, from + BEGIN.length)}\n\n${parts.join('\n\n')}\n\n${document.slice(to)}`
}

function section(
  kind: string,
  heading: string,
  requirements: readonly Requirement[],
  proofs: readonly Proof[],
): string[] {
  const rows = requirements.filter(({ id }) => id.startsWith(`${kind}-`))
  const open = rows.filter(({ untested }) => untested !== undefined)
  const partial = rows.filter(({ short, untested }) => short !== undefined && untested === undefined)
  const parts = [`### ${heading}`, `${rows.length - open.length} of ${rows.length} are proved by a test.`]
  if (open.length > 0) {
    parts.push('Without a test:', open.map(({ id, text, untested }) => `- ${id}, ${text}: ${untested}`).join('\n'))
  }
  if (partial.length > 0) {
    parts.push('Proved, but for a part:', partial.map(({ id, text, short }) => `- ${id}, ${text}: ${short}`).join('\n'))
  }
  const lines = rows.map((row) => {
    const links = proofs.filter(({ tags }) => tags.includes(row.id)).map(linkTo)
    const proof = links.length > 0 ? links.join('<br>') : `no test: ${row.untested ?? 'none names it'}`
    return `| ${row.id} | §${row.section} | ${row.text} | ${proof} |`
  })
  parts.push(
    ['| Number | Section | What it demands | The tests that prove it |', '|---|---|---|---|', ...lines].join('\n'),
  )
  return parts
}

/** A title without the RFCs it cites, its characters kept from meaning anything to the table or the link. */
function linkTo({ file, title }: Proof): string {
  const said = title.replace(CITATIONS, '').replace(/\.$/, '')
  const plain = said.replace(/[[\]|<>*_`\\]/g, (character) => `\\${character}`)
  return `[${file.replace(/^test\//, '')}: ${plain}](../${file})`
}
