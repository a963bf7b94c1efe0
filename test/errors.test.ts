import { describe, expect, it } from 'vitest'
import { AssertionError, assert, unreachable } from '../src/assert.ts'
import { Counters, nonZero } from '../src/counters.ts'
import { EnvironmentError, NetError, UsageError } from '../src/errors.ts'

describe('assert', () => {
  it('passes what holds and throws AssertionError with its message for what does not', () => {
    assert(true, 'never seen')
    expect(() => assert(false, 'two owners')).toThrow(AssertionError)
    expect(() => assert(false, 'two owners')).toThrow('two owners')
  })
})

describe('unreachable', () => {
  it('names the value that got where none can', () => {
    expect(() => unreachable('SYN-SENT' as never)).toThrow('unreachable: SYN-SENT')
  })
})

describe('errors', () => {
  it('are told apart by name, and carry what a program needs', () => {
    const refused = new NetError('ECONNREFUSED', 'connect 10.0.0.1:80')
    expect(refused).toMatchObject({
      name: 'NetError',
      code: 'ECONNREFUSED',
      message: 'ECONNREFUSED: connect 10.0.0.1:80',
    })
    expect(new UsageError('no').name).toBe('UsageError')
    const environment = new EnvironmentError('TAP', 'no permission', 'run as root')
    expect(environment).toMatchObject({ what: 'TAP', why: 'no permission', mend: 'run as root' })
    expect(environment.message).toBe('TAP: no permission. To mend it: run as root')
  })
})

describe('Counters', () => {
  it('start at zero, each of them', () => {
    const { drops, ...counts } = new Counters()
    expect(new Set([...Object.values(counts), ...Object.values(drops)])).toEqual(new Set([0]))
    expect(nonZero(new Counters())).toEqual([])
  })

  it('are listed in declared order where they are not zero, drops last', () => {
    const counters = new Counters()
    counters.drops.faultLoss = 2
    counters.drops.noBuffer = 1
    counters.UdpInDatagrams = 4
    counters.IpInReceives = 3
    expect(nonZero(counters)).toEqual([
      ['IpInReceives', 3],
      ['UdpInDatagrams', 4],
      ['drop.noBuffer', 1],
      ['drop.faultLoss', 2],
    ])
  })
})
