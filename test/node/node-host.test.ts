// What the modules in Node's place share: who keeps the process alive, timers by the host's clock, and Node's errors.

import net from 'node:net'
import { describe, expect, test } from 'vitest'
import { KeepAlive } from '../../src/node/keep-alive.ts'
import * as errors from '../../src/node/node-errors.ts'
import { nodeHost } from '../../src/node/node-host.ts'
import { settle } from '../../src/node/settle.ts'
import { millis } from '../../src/time.ts'
import { inWorld } from '../support/peer.ts'

describe('keeping the process alive', () => {
  test('each handle counts once, however often it is ref’ed, and never after its release', () => {
    const keepAlive = new KeepAlive()
    const [one, two] = [keepAlive.hold(), keepAlive.hold()]
    one.ref()
    expect(keepAlive.holding).toBe(2)
    one.unref()
    one.unref()
    expect([keepAlive.holding, one.hasRef(), two.hasRef()]).toEqual([1, false, true])
    two.release()
    two.ref()
    one.ref()
    expect([keepAlive.holding, two.hasRef()]).toEqual([1, false])
    one.release()
    expect(keepAlive.holding).toBe(0)
  })

  test('a timer holds the event loop exactly while a handle is ref’ed', () => {
    const timeouts = (): number => process.getActiveResourcesInfo().filter((name) => name === 'Timeout').length
    const before = timeouts()
    const hold = new KeepAlive().hold()
    expect(timeouts()).toBe(before + 1)
    hold.unref()
    expect(timeouts()).toBe(before)
    hold.ref()
    hold.release()
    expect(timeouts()).toBe(before)
  })
})

describe('timers of a host', () => {
  test('they wait virtual time in a world, in the order of their deadlines', () =>
    inWorld(
      1,
      async (world) => {
        const { stack, timers } = nodeHost(world.host('a'))
        expect(nodeHost(stack).timers).toBe(timers)
        const heard: [string, number][] = []
        timers.set(30, () => heard.push(['late', world.now]))
        const never = timers.set(20, () => heard.push(['never', world.now]))
        timers.set(10, () => heard.push(['early', world.now]))
        timers.cancel(never)
        const start = world.now
        await world.run(new Promise<void>((resolve) => void timers.set(40, resolve)))
        expect(heard).toEqual([
          ['early', start + millis(10)],
          ['late', start + millis(30)],
        ])
      },
      { settle },
    ))
})

/** What a program can see of an error. */
function visible(error: unknown): object {
  const seen = error as NodeJS.ErrnoException
  return {
    text: String(seen),
    constructor: seen.constructor.name,
    keys: Object.keys(seen).map((key) => [key, Reflect.get(seen, key)]),
  }
}

const thrownBy = (act: () => unknown): unknown => {
  try {
    act()
  } catch (error) {
    return error
  }
  throw new Error('nothing was thrown')
}

describe('errors as Node makes them', () => {
  test.each([
    ['a port out of range', () => net.connect(70_000), () => errors.validatePort(70_000)],
    [
      'a number where a string belongs',
      () => new net.BlockList().addAddress(5 as never),
      () => errors.validateString(5, 'address'),
    ],
    [
      'an object where a string belongs',
      () => new net.BlockList().addAddress({} as never, 'ipv4'),
      () => errors.validateString({}, 'address'),
    ],
    [
      'a long string where a number belongs',
      () => net.setDefaultAutoSelectFamilyAttemptTimeout('x'.repeat(60) as never),
      () => errors.validateInteger('x'.repeat(60), 'value', 1, 2 ** 31 - 1),
    ],
    [
      'a number out of range',
      () => net.setDefaultAutoSelectFamilyAttemptTimeout(12_345_678_901),
      () => errors.validateInteger(12_345_678_901, 'value', 1, 2 ** 31 - 1),
    ],
    [
      'a fraction',
      () => net.setDefaultAutoSelectFamilyAttemptTimeout(1.5),
      () => errors.validateInteger(1.5, 'value', 1, 2 ** 31 - 1),
    ],
    ['no boolean', () => net.setDefaultAutoSelectFamily(null as never), () => errors.validateBoolean(null, 'value')],
  ])('%s', (_, theirs, ours) => {
    const mine = thrownBy(ours)
    expect(visible(mine)).toEqual(visible(thrownBy(theirs)))
    // Node's own names the code there, too, unless a test runner rewrites its stacks.
    expect((mine as Error).stack!.split('\n')[0]).toBe(String(mine))
  })
})
