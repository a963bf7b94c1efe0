// The README's program for a real host, in a namespace, as the README says.

import { afterAll, describe, expect, it } from 'vitest'
import { needRoot, withNamespace } from '../support/namespace.ts'
import { blocksOf, ProgramFolder, README } from '../support/readme.ts'
import { needTool } from '../support/tools.ts'

const folder = new ProgramFolder()
afterAll(() => folder.remove())

describe.skipIf(!needRoot() || !needTool('nc'))("the README's program for a host on a TAP", () => {
  it('answers nc on both its ports, by node:net and by a TcpListener', () =>
    withNamespace(async (namespace) => {
      const [program] = blocksOf(README, 'ts').filter((text) => text.includes('Host.open'))
      const running = namespace.script(folder.save('host.ts', program!))
      await running.printed(/^try: nc 10\.77\.0\.2 7/m)
      const echo = await namespace.spawn(['bash', '-c', 'echo hello | nc -N -w 5 10.77.0.2 7']).finished
      expect(echo.stdout).toBe('hello\n')
      const told = await namespace.spawn(['bash', '-c', 'nc -d -w 5 10.77.0.2 9000']).finished
      expect(told.stdout).toMatch(/^you are 10\.77\.0\.1 port \d+\n$/)
      running.child.kill('SIGTERM')
      await running.finished
    }))
})
