// The README as its reader uses it: the programs in it, which tests save and run, and the commands that it names.

import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join, resolve } from 'node:path'

const ROOT = resolve('.')
export const README = readFileSync(join(ROOT, 'README.md'), 'utf8')

/** The fenced blocks of a language, in their order. */
export const blocksOf = (markdown: string, language: string): string[] =>
  [...markdown.matchAll(/^```(\w*)\n([\s\S]*?)^```/gm)]
    .filter(([, name]) => name === language)
    .map(([, , text]) => text!)

/** A folder within the package, where a program finds `hourglass` as a reader's does; `remove` at the end. */
export class ProgramFolder {
  readonly path: string

  constructor() {
    mkdirSync(join(ROOT, 'dist'), { recursive: true })
    this.path = mkdtempSync(join(ROOT, 'dist', 'readme-'))
  }

  /** Saves a file and returns its path. */
  save(name: string, text: string): string {
    const path = join(this.path, name)
    writeFileSync(path, text)
    return path
  }

  remove(): void {
    rmSync(this.path, { recursive: true })
  }
}
