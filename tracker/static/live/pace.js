// Work in slices: between two of them the screen, and whoever types, have their turn.

const SLICE_MS = 8

let startMs = 0

/** To be awaited within long work, often: it takes a rest once a slice is over, whoever's work that was. */
export async function pace() {
  if (performance.now() - startMs < SLICE_MS) return
  await rest()
  startMs = performance.now()
}

/** Whether it is time for a rest: asking costs less than awaiting. */
export const isSpent = () => performance.now() - startMs >= SLICE_MS

function rest() {
  return globalThis.scheduler?.yield?.() ?? new Promise((resolve) => setTimeout(resolve))
}
