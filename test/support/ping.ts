// ping(8) as the judge of whether every request was answered. ping itself gives up on the last answer after twice the longest
// round trip so far, which on a busy machine is soon: so the kernel's own count of replies decides.

import { expect } from 'vitest'
import type { Namespace } from './namespace.ts'

const PATIENCE_MILLIS = 3_000
const BETWEEN_MILLIS = 20

/** Echo replies, of both families, that the namespace's kernel received so far. */
async function replies(namespace: Namespace): Promise<number> {
  const table = await namespace.must('nstat -asz IcmpInEchoReps Icmp6InEchoReplies')
  return [...table.matchAll(/EchoRep\S+ +(\d+)/g)].reduce((sum, match) => sum + Number(match[1]), 0)
}

/** Sends `count` requests with the options and expects as many replies; returns what ping printed. */
export async function expectAnswers(
  namespace: Namespace,
  options: string,
  count: number,
  address: string,
): Promise<string> {
  const before = await replies(namespace)
  const { stdout, stderr } = await namespace.run(`ping -n ${options} -c ${count} -W 2 ${address}`, 60_000)
  expect(stdout + stderr).toContain(`${count} packets transmitted`)
  const until = performance.now() + PATIENCE_MILLIS
  let answers = (await replies(namespace)) - before
  while (answers < count && performance.now() < until) {
    await new Promise((resolve) => setTimeout(resolve, BETWEEN_MILLIS))
    answers = (await replies(namespace)) - before
  }
  expect({ options, address, answers, stdout }).toMatchObject({ answers: count })
  return stdout
}
