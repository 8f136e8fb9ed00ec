// What changed, and how the tasks are.

import { list, write } from './detail.js'
import { ago, bytes, clock, count, span } from './format.js'

const METRICS_MS = 5_000
/** Outcomes of events that were taken: those that count, and those that do not. */
const TAKEN = new Set([
  'accepted', 'bad_checksum', 'program_inactive', 'program_not_started', 'program_expired', 'budget_spent', 'bot',
  'prefetch', 'flood',
])
const WORDS = {
  active: 'state', startsAtMs: 'start', endsAtMs: 'end', budget: 'budget', budgetSpent: 'budget spent', name: 'name',
  destination: 'destination', fallback: 'fallback', flagged: 'flagged visitors', floodedUntilMs: 'flood', customerName: 'customer', checksum: 'checksum',
}
const element = (id) => document.getElementById(id)

/** The last changes of core data, newest first, as they reached this task. */
export class Changes {
  #model
  #items = new Map()

  constructor(model) {
    this.#model = model
  }

  render() {
    const changes = this.#model.changes
    element('no-changes').hidden = changes.length > 0
    const kept = new Set(changes.map((change) => change.number))
    for (const [number, item] of this.#items) {
      if (kept.has(number)) continue
      item.remove()
      this.#items.delete(number)
    }
    for (const change of [...changes].reverse()) this.#show(change)
  }

  #show(change) {
    let item = this.#items.get(change.number)
    if (!item) {
      item = newItem()
      this.#items.set(change.number, item)
      element('changes-list').prepend(item)
    }
    const [title, when, what] = item.children
    write(title, change.kind === 'purged' ? 'Every memory emptied' : change.name ?? change.programId)
    write(when, clock(change.atMs))
    write(what, `${what_of(change)} · here after ${span(change.delayMs)}${this.#applied(change)}`)
  }

  #applied(change) {
    const { by, of } = this.#model.appliedBy(change)
    if (!of || change.tasksMs === null) return ''
    return by === of ? ` · all ${of} tasks after ${span(change.tasksMs)}` : ` · ${by} of ${of} tasks`
  }
}

function what_of(change) {
  if (change.kind === 'deleted') return 'deleted'
  if (change.kind === 'purged') return 'purge'
  return change.fields.length ? change.fields.map((name) => WORDS[name] ?? name).join(', ') : 'written'
}

export function newItem() {
  const item = document.createElement('li')
  item.append(document.createElement('b'), document.createElement('time'), document.createElement('span'))
  return item
}

/** Each task as it last said, and what this one measures of itself. */
export class Health {
  #model
  #stream
  #metrics = []
  #askedMs = -Infinity

  constructor(model, stream) {
    this.#model = model
    this.#stream = stream
  }

  render() {
    const { state, nowMs } = this.#model
    const tasks = [...this.#model.tasks.values()].filter((task) => nowMs - task.seenMs < 60_000)
    tasks.sort((one, other) => (one.task < other.task ? -1 : 1))
    const last = this.#model.changes.find((change) => change.kind === 'changed')
    list(element('health-list'), [
      ['Redis', state === null ? 'not heard of yet' : `${state.linked ? 'linked' : 'lost'} since ${clock(state.sinceMs)}`],
      ['Last change', last ? `here after ${span(last.delayMs)}` : 'none yet'],
      ['Last word from this task', this.#stream.up ? `${ago(Date.now() - this.#stream.heardMs)} ago` : 'connection lost'],
      ...(state?.full ? [['Programs', 'more than are watched']] : []),
      ...this.#metrics,
    ])
    element('tasks').replaceChildren(...tasks.map((task) => this.#line(task)))
    this.#measure()
  }

  #line(task) {
    const line = document.createElement('tr')
    const silentMs = this.#model.nowMs - task.seenMs
    const own = task.task === this.#model.state?.task
    const words = [
      silentMs > 5_000 ? `silent for ${ago(silentMs)}` : task.stalenessMs ? `stale for ${span(task.stalenessMs)}` : 'fresh',
      bytes(task.bufferedBytes),
      `№ ${count(task.applied)}`,
    ]
    const head = document.createElement('th')
    head.scope = 'row'
    head.textContent = own ? `${task.task} · this` : task.task
    line.append(head, ...words.map((word) => {
      const cell = document.createElement('td')
      cell.textContent = word
      return cell
    }))
    line.dataset.state = silentMs > 5_000 || task.stalenessMs ? 'bad' : 'good'
    return line
  }

  async #measure() {
    if (performance.now() - this.#askedMs < METRICS_MS || !this.#stream.up) return
    this.#askedMs = performance.now()
    try {
      const answer = await fetch('/metrics', { cache: 'no-store' })
      if (answer.ok) this.#metrics = told(await answer.text())
    } catch {
      this.#metrics = []
    }
  }
}

const events = (number) => `${count(number)} ${number === 1 ? 'event' : 'events'}`

/** What a task's metrics say of what it has taken, of what it could not take, and of what waits. */
function told(text) {
  const refused = new Map()
  const found = []
  let taken = 0
  for (const [name, labels, value] of samples(text)) {
    const outcome = /outcome="(\w+)"/.exec(labels)?.[1]
    if (name === 'tracker_events_total' && TAKEN.has(outcome)) taken += value
    else if (name === 'tracker_events_total' && value) refused.set(outcome, (refused.get(outcome) ?? 0) + value)
    else if (name === 'tracker_unacknowledged_events') found.push(['Waiting for Kinesis', events(value)])
  }
  const reasons = [...refused].map(([reason, number]) => `${count(number)} ${reason.replaceAll('_', ' ')}`)
  found.push(['Taken by this task', events(taken)], ['Not taken', reasons.join(', ') || 'none'])
  return found
}

function* samples(text) {
  for (const line of text.split('\n')) {
    const match = /^(\w+)(\{[^}]*\})? ([\d.e+-]+)$/.exec(line)
    if (match) yield [match[1], match[2] ?? '', Number(match[3])]
  }
}
