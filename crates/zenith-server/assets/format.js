// Numbers, durations and times as people read them: thin separators, units, the zone.

const THIN = '\u202f';
const NONE = '–';

const isNone = (value) => value === null || value === undefined || Number.isNaN(value);

/** 1234567 as "1 234 567", with thin spaces. */
export function number(value) {
  if (isNone(value)) return NONE;
  return Math.round(value).toString().replace(/\B(?=(\d{3})+$)/g, THIN);
}

function scaled(value, step, units) {
  let unit = 0;
  while (Math.abs(value) >= step * 0.9995 && unit < units.length - 1) {
    value /= step;
    unit += 1;
  }
  const digits = unit === 0 || Math.abs(value) >= 99.95 ? 0 : 1;
  const text = value.toFixed(unit === 0 && value > 0 && value < 10 && value % 1 ? 1 : digits);
  return units[unit] ? `${text}${THIN}${units[unit]}` : text;
}

/** 12400000 as "12.4 M". */
export const short = (value) => (isNone(value) ? NONE : scaled(value, 1000, ['', 'k', 'M', 'G', 'T']));
export const bytes = (value) => (isNone(value) ? NONE : scaled(value, 1000, ['B', 'kB', 'MB', 'GB', 'TB']));
export const perSecond = (value) => (isNone(value) ? NONE : `${short(value)}/s`);
export const percent = (share) => (isNone(share) ? NONE : `${share > 0.995 && share < 1 ? '99.9' : Math.floor(share * 100)}${THIN}%`);
export const share = (value) => (isNone(value) ? NONE : value > 0 && value < 0.01 ? `<${THIN}1${THIN}%` : percent(value));

/** "0.3 s", "12 s", "3 min 20 s", "2 h 5 min", "3 d 4 h". */
export function duration(seconds) {
  if (isNone(seconds)) return NONE;
  if (seconds < 0.001) return `0${THIN}s`;
  if (seconds < 0.0995) return `${Math.round(seconds * 1000)}${THIN}ms`;
  if (seconds < 9.95) return `${seconds.toFixed(1)}${THIN}s`;
  let left = Math.round(seconds);
  const parts = [];
  for (const [size, unit] of [[86400, 'd'], [3600, 'h'], [60, 'min'], [1, 's']]) {
    const count = Math.floor(left / size);
    left %= size;
    if (count || parts.length) parts.push(count ? `${count}${THIN}${unit}` : '');
    if (parts.length === 2) break;
  }
  return parts.filter(Boolean).join(' ');
}

/** The same in one unit, for columns: "3 min", "2 h", "3 d". */
export function coarse(seconds) {
  if (isNone(seconds)) return NONE;
  if (seconds < 60) return seconds < 1 ? duration(seconds) : `${Math.round(seconds)}${THIN}s`;
  return duration(seconds).split(' ')[0];
}

const pad = (value) => String(value).padStart(2, '0');
const asDate = (time) => (time instanceof Date ? time : new Date(time));

/** "14:05:09", in the zone of the browser. */
export function clock(time) {
  const date = asDate(time);
  return `${pad(date.getHours())}:${pad(date.getMinutes())}:${pad(date.getSeconds())}`;
}

/** "UTC+5", "UTC−3:30". */
export function zone(time = new Date()) {
  const minutes = -asDate(time).getTimezoneOffset();
  if (!minutes) return 'UTC';
  const rest = Math.abs(minutes) % 60;
  return `UTC${minutes < 0 ? '−' : '+'}${Math.floor(Math.abs(minutes) / 60)}${rest ? `:${pad(rest)}` : ''}`;
}

/** "2026-11-30 14:05:09 UTC+5". */
export function absolute(time) {
  const date = asDate(time);
  return `${date.getFullYear()}-${pad(date.getMonth() + 1)}-${pad(date.getDate())} ${clock(date)} ${zone(date)}`;
}

/** "12 min ago". */
export function ago(time, now = Date.now()) {
  const seconds = (now - asDate(time).getTime()) / 1000;
  // Clocks differ a little.
  if (seconds < -5) return `in ${coarse(-seconds)}`;
  return seconds < 1 ? 'now' : `${coarse(Math.round(seconds))} ago`;
}

/** "1 row", "2 rows"; a number with the noun. */
export const counted = (count, noun, nouns = `${noun}s`) => `${number(count)} ${count === 1 ? noun : nouns}`;

/** An `_id` in Extended JSON without what says its type: {"$numberLong":"20"} is 20. */
export function plainId(text) {
  const [, value] = text.match(/^\{\s*"\$\w+"\s*:\s*"([^"]*)"\s*\}$/) ?? [];
  return value ?? text;
}

/** What stands before the first end of a line. */
export const firstLine = (text) => (text ?? '').split('\n')[0];
