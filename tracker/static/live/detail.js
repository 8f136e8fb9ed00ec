// One program: its numbers, its line, its core data.

import { Chart } from './chart.js'
import { clock, count, dateAndTime, hourAndMinute, NOTHING, perSecond, percent } from './format.js'
import { MINUTE_MS, MINUTES, series, stateOf } from './model.js'

const WORDS = {
  customerName: 'Customer', customerId: 'Customer id', checksum: 'Checksum', startsAtMs: 'Starts', endsAtMs: 'Ends',
  budget: 'Budget', destination: 'Clicks go to', fallback: 'Else to', privacy: 'Privacy', origins: 'Origins',
  ack: 'Acknowledged', keyVersion: 'Key version', retentionDays: 'Kept, days', ratePerS: 'Events / s, at most',
  ratePerAddressPerS: 'Of one address', version: 'Changed', floodedUntilMs: 'Flooded until',
}
const SHOWN_ELSEWHERE = new Set(['name', 'programId', 'active', 'budgetSpent', 'writtenVersion'])

const element = (id) => document.getElementById(id)

export class Detail {
  #model
  #chart
  #closed
  #drawn = ''
  id = null

  constructor(model, { closed }) {
    this.#model = model
    this.#closed = closed
    this.#chart = new Chart(element('detail-chart'), element('detail-reading'))
    element('detail-close').addEventListener('click', () => this.close())
    element('detail').addEventListener('keydown', (event) => event.key === 'Escape' && this.close())
  }

  get row() {
    return this.id === null ? null : this.#model.rows.get(this.id) ?? null
  }

  open(id, focus) {
    this.id = id
    this.#drawn = ''
    element('detail').hidden = false
    document.body.dataset.detail = ''
    this.render()
    if (focus) element('detail-title').focus()
  }

  close() {
    if (this.id === null) return
    this.id = null
    element('detail').hidden = true
    delete document.body.dataset.detail
    this.#closed()
  }

  render() {
    const row = this.row
    if (this.id === null) return
    if (!row?.program) return this.close()
    const nowMs = this.#model.nowMs
    const state = stateOf(row.program, nowMs)
    write(element('detail-title'), row.name)
    write(element('detail-sub'), `${row.id} · ${row.program.customerName}`)
    write(element('detail-state'), sentence(row, state, nowMs))
    element('detail-state').dataset.state = state.key
    write(element('pause'), row.program.active ? 'Pause' : 'Resume')
    this.#figures(row, nowMs)
    this.#chart.draw(series(row.minutes, nowMs), row.name)
    const key = `${row.id} ${row.program.version} ${row.revision} ${Math.floor(nowMs / MINUTE_MS)}`
    if (key === this.#drawn) return
    this.#drawn = key
    this.#core(row.program)
    this.#table(row, nowMs)
  }

  #figures(row, nowMs) {
    const [views, clicks, conversions, invalid] = row.totals
    list(element('detail-figures'), [
      ['Events / s', perSecond(row.rate.at(performance.now()))],
      ['Views', count(views)],
      ['Clicks', count(clicks)],
      ['Conversions', count(conversions)],
      ['CTR', percent(clicks, views)],
      ['CVR', percent(conversions, clicks)],
      ['Visitors / min', count(row.visitors(nowMs))],
      ['Did not count', count(invalid)],
      ['Budget left', row.left === null ? NOTHING : count(row.left)],
    ])
  }

  #core(program) {
    const fields = Object.entries(program).filter(([name, value]) => value !== null && !SHOWN_ELSEWHERE.has(name))
    list(element('detail-core'), fields.map(([name, value]) => [WORDS[name] ?? name, shown(name, value)]))
  }

  #table(row, nowMs) {
    const now = nowMs - (nowMs % MINUTE_MS)
    const lines = Array.from({ length: MINUTES + 1 }, (_, ago) => now - ago * MINUTE_MS)
    element('detail-minutes').replaceChildren(...lines.map((startMs) => {
      const line = document.createElement('tr')
      const head = document.createElement('th')
      head.scope = 'row'
      head.textContent = hourAndMinute(startMs)
      line.append(head, ...(row.minutes.get(startMs) ?? [0, 0, 0, 0, 0]).map((number) => {
        const cell = document.createElement('td')
        cell.textContent = count(number)
        return cell
      }))
      return line
    }))
  }
}

function sentence(row, state, nowMs) {
  const { startsAtMs, endsAtMs, budget } = row.program
  if (state.key === 'waiting') return `Not started: counts from ${dateAndTime(startsAtMs)}`
  if (state.key === 'ended') return `Ended ${dateAndTime(endsAtMs)}`
  if (state.key === 'spent') return `Budget of ${count(budget)} spent`
  if (state.key === 'flooded') return `Flooded: does not count before ${clock(row.program.floodedUntilMs)}`
  if (state.key === 'counting' && endsAtMs !== null && endsAtMs > nowMs) return `Counting, until ${dateAndTime(endsAtMs)}`
  return state.text
}

function shown(name, value) {
  if (name === 'version') return dateAndTime(value / 1_000)
  if (name.endsWith('Ms')) return dateAndTime(value)
  if (Array.isArray(value)) return value.join(', ')
  return typeof value === 'number' && name !== 'customerId' ? count(value) : String(value)
}

/** A list of terms: written anew only where a value is another one. */
export function list(parent, pairs) {
  if (parent.children.length !== pairs.length) {
    parent.replaceChildren(...pairs.map(() => {
      const pair = document.createElement('div')
      pair.append(document.createElement('dt'), document.createElement('dd'))
      return pair
    }))
  }
  pairs.forEach(([term, value], position) => {
    const [dt, dd] = parent.children[position].children
    write(dt, term)
    write(dd, value)
  })
}

export function write(node, text) {
  if (node.textContent !== text) node.textContent = text
}
