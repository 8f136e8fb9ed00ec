// Who reads the streams and how far behind they are, and how much failed.

import { write } from './detail.js'
import { ago, count, span } from './format.js'

/** What is called only when something comes, and so says nothing while nothing does. */
const FUNCTIONS = new Map([['persist', 'stores'], ['refresh', 'applies']])
const BEHIND_MS = 10_000
const SILENT_MS = 15_000
const element = (id) => document.getElementById(id)

export class Readers {
  #model

  constructor(model) {
    this.#model = model
  }

  /** Whether anything here asks for somebody to look. */
  render() {
    const readers = [...grouped(this.#model.readers.values())].map((reader) => this.#judged(reader))
    element('no-readers').hidden = readers.length > 0
    element('readers-table').hidden = readers.length === 0
    element('readers').replaceChildren(...readers.map(line))
    return this.#failures() || readers.some((reader) => reader.state === 'bad')
  }

  #failures() {
    const { failures } = this.#model
    const known = failures !== null
    element('failures').dataset.state = !known ? '' : failures.count ? 'bad' : 'good'
    write(element('failures-count'), !known ? 'not counted yet' : failures.count ? `${count(failures.count)}${failures.more ? ' and more' : ''}` : 'none')
    element('failures-hint').hidden = !known || failures.count === 0
    return known && failures.count > 0
  }

  #judged({ name, shards }) {
    const nowMs = this.#model.nowMs
    const toldMs = Math.max(...shards.map((shard) => shard.atMs))
    const lagMs = Math.max(...shards.map((shard) => shard.lagMs))
    const silentMs = nowMs - toldMs
    const mute = silentMs > SILENT_MS && (!FUNCTIONS.has(name) || this.#waits(name, toldMs))
    return {
      state: mute || lagMs > BEHIND_MS ? 'bad' : 'good',
      words: [name, count(shards.length), mute ? `silent for ${ago(silentMs)}` : span(lagMs), silentMs < 1_000 ? 'now' : `${ago(silentMs)} ago`],
    }
  }

  /** Whether events were taken after what `persist` has stored, long enough ago. */
  #waits(name, toldMs) {
    return name === 'persist' && this.#model.acknowledgedMs > toldMs + SILENT_MS
  }
}

/** By reader, functions first. */
function* grouped(lags) {
  const readers = new Map([...FUNCTIONS.keys()].map((name) => [name, []]))
  for (const lag of [...lags].sort((one, other) => (one.reader < other.reader ? -1 : 1))) {
    if (!readers.has(lag.reader)) readers.set(lag.reader, [])
    readers.get(lag.reader).push(lag)
  }
  for (const [name, shards] of readers) {
    if (shards.length) yield { name, shards }
  }
}

function line({ state, words: [name, ...words] }) {
  const row = document.createElement('tr')
  const head = document.createElement('th')
  head.scope = 'row'
  head.textContent = FUNCTIONS.has(name) ? `${name} · ${FUNCTIONS.get(name)}` : name
  row.append(head, ...words.map((word) => {
    const cell = document.createElement('td')
    cell.textContent = word
    return cell
  }))
  row.dataset.state = state
  return row
}
