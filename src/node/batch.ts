// What the drivers of a process (driver.ts) and the turns of its sockets (net/handle.ts) know of each other. What sockets
// hear in the middle of a batch from the network is told when it is over, without another round of the event loop, as
// libuv tells what it polled. What they write then may wait until those that wait for their turn had theirs: it leaves
// with theirs in one poll of the stack, and wakes the other side once.

export interface OutputHolder {
  /** A turn is over; `isLast`: no other one waits. Returns whether nothing is held any more. May be told once too often. */
  turnEnded(isLast: boolean): boolean
}

const holders: OutputHolder[] = []

export const Batch = {
  /** A driver is in the middle of a batch. */
  running: false,
  /** Calls that wait for their turn of the event loop, in all hosts of the process. */
  waiting: 0,

  /** `holder` is asked at the end of each turn, until it holds nothing. Called where a turn is still to come. */
  hold(holder: OutputHolder): void {
    holders.push(holder)
  },

  endTurn(): void {
    for (let index = holders.length - 1; index >= 0; index--) {
      if (!holders[index]!.turnEnded(Batch.waiting === 0)) continue
      holders[index] = holders[holders.length - 1]!
      holders.pop()
    }
  },
}
