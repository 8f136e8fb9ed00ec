// What the page knows: programs, their totals and minutes, changes, tasks. Knows nothing of the page.

export const MINUTE_MS = 60_000
export const MINUTES = 15
const RATE_MS = 10_000
const RATE_LEAST_MS = 2_000
const SAMPLE_MS = 1_000
const SOME = 50
const SETTLE_MS = 1_500
const SAY_S = 5
const SAY_NOTHING_S = 20
const CHANGES_MAX = 50
const TASK_SILENT_MS = 5_000
const READER_SILENT_MS = 1_200_000
const NONE = [0, 0, 0, 0]

/** Events per second over the last ten seconds or so, from a count that only grows: since the last sample before them,
 * over all the time since, as long as samples follow one another. */
class Rate {
  #times = []
  #counts = []
  #counted = 0

  note(nowMs, counted) {
    this.#counted = counted
    if (this.#times.length && nowMs - this.#times.at(-1) < SAMPLE_MS) return
    this.#times.push(nowMs)
    this.#counts.push(counted)
    this.#forget(nowMs)
  }

  reset(nowMs, counted) {
    this.#times = [nowMs]
    this.#counts = [counted]
    this.#counted = counted
  }

  /** Null while too little of the time has been seen. */
  at(nowMs) {
    this.#forget(nowMs)
    if (!this.#times.length) return null
    const spanMs = Math.min(RATE_MS + 2 * SAMPLE_MS, nowMs - this.#times[0])
    return spanMs < RATE_LEAST_MS ? null : ((this.#counted - this.#counts[0]) * 1_000) / spanMs
  }

  #forget(nowMs) {
    while (this.#times.length > 1 && this.#times[1] <= nowMs - RATE_MS) {
      this.#times.shift()
      this.#counts.shift()
    }
  }
}

/** One program. `totals` are views, clicks, conversions, invalid; `minutes` the same by minute, and visitors. */
class Row {
  program = null
  totals = NONE
  minutes = new Map()
  rate = new Rate()
  search = ''
  revision = 0

  constructor(id) {
    this.id = id
    this.search = id.toLowerCase()
  }

  get name() {
    return this.program?.name ?? this.id
  }

  get stored() {
    return this.totals[0] + this.totals[1] + this.totals[2] + this.totals[3]
  }

  get valid() {
    return this.totals[0] + this.totals[1] + this.totals[2]
  }

  get ctr() {
    return this.totals[0] ? this.totals[1] / this.totals[0] : -1
  }

  get cvr() {
    return this.totals[1] ? this.totals[2] / this.totals[1] : -1
  }

  /** Events that it may still count; null without a budget. */
  get left() {
    const budget = this.program?.budget ?? null
    if (budget === null) return null
    return this.program.budgetSpent ? 0 : Math.max(0, budget - this.valid)
  }

  visitors(nowMs) {
    return visitorsOf(this.minutes, nowMs)
  }
}

/** Whether a program counts, or why not, in words. */
export function stateOf(program, nowMs) {
  if (!program) return { key: 'unknown', text: 'Not known' }
  if (!program.active) return { key: 'paused', text: 'Paused' }
  if (program.startsAtMs !== null && nowMs < program.startsAtMs) return { key: 'waiting', text: 'Not started' }
  if (program.endsAtMs !== null && nowMs >= program.endsAtMs) return { key: 'ended', text: 'Ended' }
  if (program.budgetSpent) return { key: 'spent', text: 'Budget spent' }
  if (nowMs < (program.floodedUntilMs ?? 0)) return { key: 'flooded', text: 'Flooded' }
  return { key: 'counting', text: 'Counting' }
}

/** Distinct visitors of the last whole minute, or of this one where there was none. */
export function visitorsOf(minutes, nowMs) {
  const start = nowMs - (nowMs % MINUTE_MS)
  return minutes.get(start - MINUTE_MS)?.[4] || minutes.get(start)?.[4] || 0
}

/** Events of a minute; it has five numbers, the last of which is visitors. */
const eventsOf = (counted) => counted[0] + counted[1] + counted[2] + counted[3]

/** Events per second, minute by minute; the last minute is not over, and null until it has something to say. */
export function series(minutes, nowMs) {
  const now = nowMs - (nowMs % MINUTE_MS)
  return Array.from({ length: MINUTES + 1 }, (_, position) => {
    const startMs = now - (MINUTES - position) * MINUTE_MS
    const partial = position === MINUTES
    const events = minutes.get(startMs) ? eventsOf(minutes.get(startMs)) : 0
    const seconds = partial ? (nowMs - now) / 1_000 : 60
    const silent = partial && seconds < (events ? SAY_S : SAY_NOTHING_S)
    return { startMs, value: silent ? null : events / seconds, partial }
  })
}

function* inSteps(items, take) {
  let number = 0
  for (const item of items ?? []) {
    take(item)
    if (++number % SOME === 0) yield
  }
}

export class Model {
  rows = new Map()
  minutes = new Map()
  totals = [...NONE]
  rate = new Rate()
  changes = []
  tasks = new Map()
  readers = new Map()
  /** How many failures are kept; null while nobody has counted them. */
  failures = null
  /** When a task was last told by Kinesis that events are taken. */
  acknowledgedMs = 0
  state = null
  offsetMs = 0
  /** Grows whenever a program is there that was not, or is not any more. */
  shape = 0
  #flow = 0
  #settledMs = 0

  /** The task's clock. */
  get nowMs() {
    return Date.now() + this.offsetMs
  }

  get complete() {
    return this.state !== null && this.state.linked && !this.state.reading
  }

  /** Takes an event of the stream, some of it at a time: between two steps others may have their turn. */
  *take(kind, data) {
    if (kind === 'snapshot') this.#clear()
    this.offsetMs = data.atMs - Date.now()
    for (const state of data.state ?? []) this.#takeState(state)
    yield* inSteps(data.programs, (program) => this.#takeProgram(program))
    yield* inSteps(data.totals, ([id, ...totals]) => this.#takeTotals(this.#row(id), totals))
    yield* inSteps(data.minutes, ([id, startMs, ...counted]) => this.#takeMinute(this.#row(id), startMs, counted))
    for (const change of data.changes ?? []) this.#takeChange(change)
    for (const task of data.tasks ?? []) this.#takeTask(task)
    for (const [reader, stream, shard, lagMs, atMs] of data.readers ?? []) {
      this.readers.set(`${reader} ${stream} ${shard}`, { reader, lagMs, atMs })
    }
    for (const failures of data.failures ?? []) this.failures = failures
    this.#forget()
  }

  /** What comes in now happened some time ago: it says nothing about how fast events come. */
  settle() {
    this.#settledMs = performance.now() + SETTLE_MS
    this.#flow = 0
    this.rate.reset(performance.now(), 0)
    for (const row of this.rows.values()) row.rate.reset(performance.now(), row.stored)
  }

  /** Tasks that have said something just now. */
  liveTasks() {
    return [...this.tasks.values()].filter((task) => this.nowMs - task.seenMs < TASK_SILENT_MS)
  }

  /** How many of the live tasks have applied a change, and of how many. */
  appliedBy(change) {
    const tasks = this.liveTasks()
    return { by: tasks.filter((task) => task.applied >= change.applied).length, of: tasks.length }
  }

  #clear() {
    this.rows.clear()
    this.minutes.clear()
    this.tasks.clear()
    this.readers.clear()
    this.totals = [...NONE]
    this.changes = []
    this.shape += 1
    this.settle()
  }

  #row(id) {
    let row = this.rows.get(id)
    if (!row) {
      row = new Row(id)
      this.rows.set(id, row)
      this.shape += 1
    }
    return row
  }

  #takeState(state) {
    if (this.state && (!this.state.linked || this.state.reading) && state.linked && !state.reading) this.settle()
    if (!state.linked) this.tasks.clear()
    this.state = state
  }

  #takeProgram(program) {
    if (program.gone) return this.#remove(program.programId)
    const row = this.#row(program.programId)
    if (row.program && row.program.name !== program.name) this.shape += 1
    row.program = program
    row.search = `${program.name} ${program.programId} ${program.customerName}`.toLowerCase()
    row.revision += 1
  }

  #remove(id) {
    const row = this.rows.get(id)
    if (!row) return
    row.totals.forEach((number, position) => { this.totals[position] -= number })
    for (const [startMs, counted] of row.minutes) this.#add(startMs, counted, -1)
    this.rows.delete(id)
    this.shape += 1
  }

  #takeTotals(row, totals) {
    const nowMs = performance.now()
    const before = row.stored
    for (let position = 0; position < totals.length; position++) {
      this.totals[position] += totals[position] - row.totals[position]
    }
    row.totals = totals
    row.revision += 1
    if (nowMs < this.#settledMs || !this.complete) {
      this.rate.reset(nowMs, this.#flow)
      return row.rate.reset(nowMs, row.stored)
    }
    row.rate.note(nowMs, row.stored)
    this.#flow += row.stored - before
    this.rate.note(nowMs, this.#flow)
  }

  #takeMinute(row, startMs, counted) {
    const held = row.minutes.get(startMs)
    if (held) this.#add(startMs, held, -1)
    this.#add(startMs, counted, 1)
    row.minutes.set(startMs, counted)
    row.revision += 1
  }

  #add(startMs, counted, sign) {
    let sum = this.minutes.get(startMs)
    if (!sum) this.minutes.set(startMs, (sum = [0, 0, 0, 0, 0]))
    for (let position = 0; position < sum.length; position++) sum[position] += sign * counted[position]
  }

  #takeTask(task) {
    const before = this.tasks.get(task.task)?.acknowledged ?? task.acknowledged
    if (task.acknowledged > before) this.acknowledgedMs = task.seenMs
    this.tasks.set(task.task, task)
  }

  #takeChange(change) {
    const position = this.changes.findIndex((each) => each.number === change.number)
    if (position >= 0) this.changes[position] = change
    else this.changes.unshift(change)
    this.changes.sort((one, other) => other.number - one.number)
    this.changes.length = Math.min(this.changes.length, CHANGES_MAX)
  }

  #forget() {
    const oldestMs = this.nowMs - (MINUTES + 1) * MINUTE_MS
    for (const startMs of this.minutes.keys()) {
      if (startMs >= oldestMs) continue
      this.minutes.delete(startMs)
      for (const row of this.rows.values()) row.minutes.delete(startMs)
    }
    for (const [place, lag] of this.readers) {
      if (this.nowMs - lag.atMs > READER_SILENT_MS) this.readers.delete(place)
    }
  }
}
