// docs/rfc.md against the code: the files it names must be there, and it must have every RFC that the code cites.

import { existsSync } from 'node:fs'
import { dirname, join } from 'node:path'
import type { Fault } from './bans.ts'
import type { SourceFile } from './sources.ts'

/** Files and folders in the tables that are not there. A name without a folder is of the folder named before it. */
export function findLostFiles(root: string, file: string, text: string): Fault[] {
  return text.split('\n').flatMap((line, index) => {
    if (!/^\| *\d/.test(line)) return []
    let folder = ''
    return [...line.matchAll(/`([\w./-]+)`/g)].flatMap(([, name]) => {
      const path = name!.includes('/') ? name! : join(folder, name!)
      folder = dirname(path)
      return existsSync(join(root, path)) ? [] : [{ file, line: index + 1, text: `${path} does not exist` }]
    })
  })
}

/** RFCs that the sources cite and no table has in its first column. */
export function findUnlisted(document: string, sources: readonly SourceFile[]): Fault[] {
  const rows = document.split('\n').map((line) => /^\|([^|]*\d[^|]*)\|/.exec(line)?.[1] ?? '')
  const listed = new Set(rows.flatMap((cell) => cell.match(/(?<![§.\d])\d{3,4}\b/g) ?? []))
  return sources.flatMap(({ file, text }) =>
    text
      .split('\n')
      .flatMap((line, index) =>
        [...line.matchAll(/\bRFC (\d+)/g)].flatMap(([, number]) =>
          listed.has(number!) ? [] : [{ file, line: index + 1, text: `RFC ${number} is not in docs/rfc.md` }],
        ),
      ),
  )
}
