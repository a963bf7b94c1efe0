// Links between the documents: a relative one must lead to a file, and its anchor to a heading.

import { existsSync, readFileSync } from 'node:fs'
import { dirname, join, normalize } from 'node:path'
import type { Fault } from './bans.ts'

/** Relative links of a Markdown file, `file` relative to `root`, that lead nowhere. */
export function findDeadLinks(root: string, file: string, text: string): Fault[] {
  const faults: Fault[] = []
  for (const [index, line] of withoutCode(text).split('\n').entries())
    for (const target of targetsOf(line)) {
      const why = deadEnd(root, file, text, target)
      if (why !== undefined) faults.push({ file, line: index + 1, text: why })
    }
  return faults
}

/** `[text](target)`, `![text](target)`, `[name]: target`, `src="target"`; not those with a scheme. */
function targetsOf(line: string): string[] {
  const found = [...line.matchAll(/\]\(<?([^)\s>]+)>?[^)]*\)|^\s*\[[^\]]+\]:\s*(\S+)|(?:src|href)="([^"]+)"/g)]
  return found.map((match) => (match[1] ?? match[2] ?? match[3])!).filter((target) => !/^[a-z][a-z+.-]*:/i.test(target))
}

function deadEnd(root: string, file: string, text: string, target: string): string | undefined {
  const [path = '', anchor] = target.split('#')
  const full = path === '' ? join(root, file) : join(root, normalize(join(dirname(file), decodeURIComponent(path))))
  if (path !== '' && !existsSync(full)) return `${target} does not exist`
  if (anchor === undefined || !full.endsWith('.md')) return undefined
  const headings = anchorsOf(path === '' ? text : readFileSync(full, 'utf8'))
  return headings.has(anchor) ? undefined : `${target}: no heading makes that anchor`
}

/** The anchors that GitHub gives to headings. */
function anchorsOf(text: string): Set<string> {
  const headings = withoutCode(text, false)
    .split('\n')
    .filter((line) => /^#{1,6} /.test(line))
  return new Set(headings.map((line) => anchorOf(line.replace(/^#+ /, ''))))
}

function anchorOf(heading: string): string {
  const plain = heading
    .trim()
    .toLowerCase()
    .replace(/[^\p{L}\p{N}\s_-]/gu, '')
  return plain.replace(/ /g, '-')
}

/** Fenced blocks, and code in lines where `inline`, emptied; the lines keep their numbers. */
function withoutCode(text: string, inline = true): string {
  const fenced = text.replace(/^```[\s\S]*?^```/gm, (block) => block.replace(/[^\n]/g, ''))
  return inline ? fenced.replace(/`[^`\n]*`/g, '') : fenced
}
