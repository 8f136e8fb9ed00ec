// How numbers and times are written: always as wide, never in another language.

const whole = new Intl.NumberFormat('en', { maximumFractionDigits: 0 })
const tenths = new Intl.NumberFormat('en', { minimumFractionDigits: 1, maximumFractionDigits: 1 })
const share = new Intl.NumberFormat('en', { style: 'percent', minimumFractionDigits: 2, maximumFractionDigits: 2 })
const time = new Intl.DateTimeFormat('en-GB', { hour: '2-digit', minute: '2-digit', second: '2-digit' })
const minute = new Intl.DateTimeFormat('en-GB', { hour: '2-digit', minute: '2-digit' })
const moment = new Intl.DateTimeFormat('en-GB', {
  day: 'numeric', month: 'short', year: 'numeric', hour: '2-digit', minute: '2-digit',
})

export const NOTHING = '–'

export const count = (number) => whole.format(number)
export const perSecond = (rate) => (rate === null ? NOTHING : rate < 100 ? tenths.format(rate) : whole.format(rate))
export const percent = (part, all) => (all ? share.format(part / all) : NOTHING)
export const clock = (ms) => time.format(ms)
export const hourAndMinute = (ms) => minute.format(ms)
export const dateAndTime = (ms) => moment.format(ms)

/** How long something took. */
export function span(ms) {
  if (ms < 1_000) return `${Math.max(0, Math.round(ms))} ms`
  if (ms < 60_000) return `${tenths.format(ms / 1_000)} s`
  return `${whole.format(ms / 60_000)} min`
}

/** How long ago something was, in steps that do not flicker. */
export function ago(ms) {
  if (ms < 60_000) return `${Math.max(0, Math.floor(ms / 1_000))} s`
  if (ms < 3_600_000) return `${Math.floor(ms / 60_000)} min`
  return `${Math.floor(ms / 3_600_000)} h`
}

export function bytes(number) {
  if (number < 1_024) return `${number} B`
  if (number < 1_048_576) return `${whole.format(number / 1_024)} KB`
  return `${tenths.format(number / 1_048_576)} MB`
}
