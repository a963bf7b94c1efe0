// What Linux knows of its side of our connections, in figures: nstat(8), ss(8) and nft(8) in a namespace. Our own
// `hourglass ss -ti` prints in the form of ss(8), and is read by the same function.

import type { Namespace } from './namespace.ts'

export type Figures = Readonly<Record<string, number>>

/** The namespace's counters since it was made, zeros included. */
export async function nstat(namespace: Namespace): Promise<Figures> {
  const { kernel } = JSON.parse(await namespace.must('nstat -a -z -s -j')) as { kernel: Figures }
  return kernel
}

/** Of the one connection with that port of ours: what `ss -tinH` prints as `name:number`; of retrans:1/2 the second, the sum. */
export function socketFigures(printed: string, port: number): Figures {
  const lines = printed.split('\n')
  const at = lines.findIndex((line) => line.includes(`:${port} `) || line.endsWith(`:${port}`))
  if (at < 0) throw new Error(`no connection with the port ${port}:\n${printed}`)
  const figures: Record<string, number> = {}
  for (const [, name = '', value = ''] of lines[at + 1]!.matchAll(/(\w+):(?:\d+\/)?(\d+)(?=\s|$)/g))
    figures[name] = Number(value)
  return figures
}

/** Packets that the rule of that chain counted. */
export async function ruleCount(namespace: Namespace, chain: string): Promise<number> {
  const printed = await namespace.must('nft list ruleset')
  const match = new RegExp(`chain ${chain} \\{[^}]*counter packets (\\d+)`).exec(printed)
  if (match === null) throw new Error(`no chain ${chain} with a counter:\n${printed}`)
  return Number(match[1])
}
