// The files of the project that the checks of this folder read.

import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { join, relative, sep } from 'node:path'
import { ROOT } from './dependencies.ts'

export interface SourceFile {
  /** Relative to the root of the project. */
  readonly file: string
  readonly text: string
}

/** Every file under the folders that ends in `ending`, by name; a folder that is not there has none. */
export function readTree(folders: readonly string[], ending: string): SourceFile[] {
  const files = folders
    .filter((folder) => existsSync(join(ROOT, folder)))
    .flatMap((folder) => readdirSync(join(ROOT, folder), { recursive: true, withFileTypes: true }))
    .filter((entry) => entry.isFile() && entry.name.endsWith(ending) && !entry.parentPath.includes('node_modules'))
    .map((entry) => relative(ROOT, join(entry.parentPath, entry.name)).split(sep).join('/'))
  return files.sort().map(readOne)
}

export function readOne(file: string): SourceFile {
  return { file, text: readFileSync(join(ROOT, file), 'utf8') }
}
