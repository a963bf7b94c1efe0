// Which scripts there must be: one for each numbered step of SEGMENT ARRIVES (RFC 9293 §3.10.7) in each state that the
// step names, and one at least for each RFC whose mechanisms a packet can show. Found by the titles.

import { expect, test } from 'vitest'
import { scriptFiles } from './scripts.ts'

const titles = scriptFiles().map(({ name, text }) => ({ name, title: text.split('\n')[0]! }))

const SYNCHRONIZED = ['ESTABLISHED', 'FIN-WAIT-1', 'FIN-WAIT-2', 'CLOSE-WAIT', 'CLOSING', 'LAST-ACK', 'TIME-WAIT']
const OTHER = ['SYN-RECEIVED', ...SYNCHRONIZED]

/** By section and step: the states that the title must name; none: the section is about one state. */
const STEPS: readonly [step: string, states: readonly string[]][] = [
  ['§3.10.7.1', []],
  ['§3.10.7.2, first', []],
  ['§3.10.7.2, second', []],
  ['§3.10.7.2, third', []],
  ['§3.10.7.2, fourth', []],
  ['§3.10.7.3, first', []],
  ['§3.10.7.3, second', []],
  ['§3.10.7.3, fourth', []],
  ['§3.10.7.3, fifth', []],
  ['§3.10.7.4, first', OTHER],
  ['§3.10.7.4, second', OTHER],
  ['§3.10.7.4, fourth', OTHER],
  ['§3.10.7.4, fifth', OTHER],
  ['§3.10.7.4, sixth', SYNCHRONIZED],
  ['§3.10.7.4, seventh', SYNCHRONIZED],
  ['§3.10.7.4, eighth', ['CLOSED', 'LISTEN', 'SYN-SENT', ...OTHER]],
]

/** Security and compartment (RFC 9293 appendix A.1): an IP option that no host sends, and that this stack does not read. */
const WITHOUT_SCRIPT = ['§3.10.7.3, third', '§3.10.7.4, third']

const RFCS = [
  768, 1122, 1191, 1337, 2018, 2525, 2883, 3042, 3522, 3708, 4015, 4443, 4821, 4987, 5461, 5482, 5681, 5682, 5927, 5961,
  6093, 6191, 6298, 6582, 6675, 6928, 7323, 7661, 8201, 8985, 9293, 9406, 9438, 9937,
]

const cites = (title: string, mark: string): boolean =>
  new RegExp(`${mark.replaceAll('.', '\\.')}(?![\\w-]|\\.\\d)`).test(title)

function lacking(): string[] {
  const found: string[] = []
  for (const [step, states] of STEPS) {
    const ofStep = titles.filter(({ title }) => cites(title, step))
    if (ofStep.length === 0) found.push(step)
    for (const state of states) if (!ofStep.some(({ title }) => cites(title, state))) found.push(`${step} in ${state}`)
  }
  return found
}

test('RFC 9293 §3.10.7: every numbered step has a packet script in every state that it names', () => {
  expect(lacking()).toEqual([])
})

test('RFC 9293 §3.10.7: the steps without a script are those that are not there', () => {
  expect(titles.filter(({ title }) => WITHOUT_SCRIPT.some((step) => cites(title, step)))).toEqual([])
})

test('each RFC whose mechanisms a packet can show has a packet script', () => {
  expect(RFCS.filter((rfc) => !titles.some(({ title }) => cites(title, `RFC ${rfc}`)))).toEqual([])
})

test('a script that is taken away is missed', () => {
  const at = titles.findIndex(({ name }) => name === 'text-closing.pkt')
  const [taken] = titles.splice(at, 1)
  const missed = lacking()
  titles.splice(at, 0, taken!)
  expect(missed).toEqual(['§3.10.7.4, seventh in CLOSING'])
})
