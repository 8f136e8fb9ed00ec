// Lines drawn by hand: a chart with axes, and one small enough for a row.

import { count, hourAndMinute, NOTHING, perSecond } from './format.js'
import { MINUTE_MS } from './model.js'

const SVG = 'http://www.w3.org/2000/svg'
const LEFT = 40
const RIGHT = 8
const TOP = 8
const BOTTOM = 20

/** The least round number above all values, for an axis that does not tremble. */
function ceiling(most) {
  if (most <= 1) return 1
  const power = 10 ** Math.floor(Math.log10(most))
  return [1, 2, 5, 10].map((step) => step * power).find((step) => step >= most)
}

const known = (points) => points.filter((point) => point.value !== null)

const line = (points, x, y) => points.map((point, position) => `${position ? 'L' : 'M'}${x(point)} ${y(point)}`).join('')

/** The path of a row's line, 0 to `width` by 0 to `height`. */
export function spark(points, width, height) {
  const seen = known(points)
  const most = Math.max(...seen.map((point) => point.value))
  if (!(most > 0)) return ''
  const step = width / (points.length - 1)
  const startMs = points[0].startMs
  const x = (point) => round(((point.startMs - startMs) / MINUTE_MS) * step)
  const y = (point) => round(height - 1 - (point.value / most) * (height - 2))
  return line(seen, x, y)
}

const round = (number) => Math.round(number * 10) / 10

/** A line chart in an SVG element that fills its box; `output` reads out what the pointer is over. */
export class Chart {
  #svg
  #output
  #points = []
  #drawn = ''
  #over = null

  constructor(svg, output) {
    this.#svg = svg
    this.#output = output
    for (const kind of ['grid', 'area', 'line', 'open', 'cross', 'dot']) this.#part(kind === 'dot' ? 'circle' : 'path', kind)
    for (const kind of ['y0', 'y1', 'y2', 'x0', 'x1', 'x2']) this.#part('text', kind)
    svg.addEventListener('pointermove', (event) => this.#point(event.offsetX))
    svg.addEventListener('pointerleave', () => this.#point(null))
    new ResizeObserver(() => this.#redraw()).observe(svg)
  }

  draw(points, what) {
    this.#points = points
    const seen = known(points)
    const now = seen.at(-1)?.value ?? null
    const most = Math.max(0, ...seen.map((point) => point.value))
    const label = `${what}: ${perSecond(now)} events per second now, at most ${perSecond(most)} in the last 15 minutes`
    if (this.#svg.getAttribute('aria-label') !== label) this.#svg.setAttribute('aria-label', label)
    this.#redraw()
  }

  #redraw() {
    const { clientWidth: width, clientHeight: height } = this.#svg
    const key = `${width} ${height} ${this.#over} ${this.#points.map((point) => point.value?.toFixed(2)).join()}`
    if (!width || !this.#points.length || key === this.#drawn) return
    this.#drawn = key
    const seen = known(this.#points)
    const top = ceiling(Math.max(0, ...seen.map((point) => point.value)))
    const x = (point) => round(LEFT + (this.#points.indexOf(point) / (this.#points.length - 1)) * (width - LEFT - RIGHT))
    const y = (point) => round(height - BOTTOM - (point.value / top) * (height - BOTTOM - TOP))
    this.#axes(width, height, top)
    const whole = seen.filter((point) => !point.partial)
    const floor = height - BOTTOM
    this.#set('line', { d: line(whole, x, y) })
    this.#set('area', { d: whole.length ? `${line(whole, x, y)}L${x(whole.at(-1))} ${floor}L${x(whole[0])} ${floor}Z` : '' })
    this.#set('open', { d: line(seen.slice(-2), x, y) })
    this.#cross(seen, x, y, floor)
  }

  #axes(width, height, top) {
    const levels = [0, top / 2, top]
    const yOf = (level) => Math.round(height - BOTTOM - (level / top) * (height - BOTTOM - TOP)) + 0.5
    this.#set('grid', { d: levels.map((level) => `M${LEFT} ${yOf(level)}H${width - RIGHT}`).join('') })
    levels.forEach((level, position) => {
      this.#set(`y${position}`, { x: LEFT - 6, y: yOf(level) + 4, 'text-anchor': 'end' }, top < 10 ? String(level) : count(level))
    })
    const middle = Math.floor(this.#points.length / 2)
    for (const [position, index, anchor] of [[0, 0, 'start'], [1, middle, 'middle'], [2, this.#points.length - 1, 'end']]) {
      const at = LEFT + (index / (this.#points.length - 1)) * (width - LEFT - RIGHT)
      const text = position === 2 ? 'now' : hourAndMinute(this.#points[index].startMs)
      this.#set(`x${position}`, { x: at, y: height - 4, 'text-anchor': anchor }, text)
    }
  }

  #cross(seen, x, y, floor) {
    const point = this.#over === null ? seen.at(-1) : seen.find((each) => this.#points.indexOf(each) === this.#over)
    this.#set('dot', point ? { cx: x(point), cy: y(point), r: 3 } : { r: 0 })
    this.#set('cross', { d: this.#over !== null && point ? `M${x(point)} ${TOP}V${floor}` : '' })
    const text = this.#over === null || !point ? '' : `${hourAndMinute(point.startMs)} · ${perSecond(point.value ?? null)}`
    this.#output.textContent = text.replace(NOTHING, '')
  }

  #point(offset) {
    const width = this.#svg.clientWidth - LEFT - RIGHT
    const last = this.#points.length - 1
    this.#over = offset === null ? null : Math.min(last, Math.max(0, Math.round(((offset - LEFT) / width) * last)))
    this.#redraw()
  }

  #part(tag, kind) {
    const element = document.createElementNS(SVG, tag)
    element.setAttribute('class', kind)
    this.#svg.append(element)
  }

  #set(kind, attributes, text) {
    const element = this.#svg.querySelector(`.${kind}`)
    for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value)
    if (text !== undefined) element.textContent = text
  }
}
