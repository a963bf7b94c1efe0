// Writes captures/*.pcapng anew: `npx tsx test/capture/make-golden.ts`, after a change that is meant to change
// them. Look at the result with tshark before committing it.

import { writeFileSync } from 'node:fs'
import { GOLDEN, goldenPath } from './golden.ts'

for (const { file, make } of GOLDEN) {
  const bytes = make()
  writeFileSync(goldenPath(file), bytes)
  console.log(`captures/${file}: ${bytes.length} bytes`)
}
