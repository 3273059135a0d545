// Numbers as people read them. A missing number is a dash, never a zero.

export const dash = '–';

export function dollars(value) {
  if (value === null || value === undefined) return dash;
  const size = Math.abs(value);
  const [unit, name] = size >= 1e9 ? [1e9, 'bn'] : size >= 1e6 ? [1e6, 'mn'] : size >= 1e3 ? [1e3, 'k'] : [1, ''];
  const digits = size / unit >= 100 ? 0 : size / unit >= 10 ? 1 : 2;
  const sign = value < 0 ? '−' : '';
  return `${sign}$${(size / unit).toFixed(digits)}${name && ' ' + name}`;
}

// The same with its sign, for a difference.
export function change(value) {
  return value > 0 ? `+${dollars(value)}` : dollars(value);
}

export function points(value, digits = 2) {
  if (value === null || value === undefined) return dash;
  return value.toLocaleString('en-US', { minimumFractionDigits: digits, maximumFractionDigits: digits });
}

export function strike(value) {
  return value === null || value === undefined ? dash : points(value, Number.isInteger(value) ? 0 : 2);
}

// A strike that a basis may have moved.
export const price = (value) => strike(value === null ? null : Math.round(value * 100) / 100);

export function percent(value, digits = 1) {
  return value === null || value === undefined ? dash : `${(100 * value).toFixed(digits)}%`;
}

export function away(level, spot) {
  if (level === null || level === undefined || !spot) return '';
  const share = 100 * (level / spot - 1), size = Math.abs(share).toFixed(2);
  return size === '0.00' ? 'at spot' : `${share < 0 ? '−' : '+'}${size}%`;
}

export const age = (seconds) => `${span(seconds)} old`;

export function span(seconds) {
  if (seconds === null || seconds === undefined) return dash;
  if (seconds < 10) return `${seconds.toFixed(1)} s`;
  if (seconds < 120) return `${seconds.toFixed(0)} s`;
  if (seconds < 7200) return `${(seconds / 60).toFixed(0)} min`;
  return seconds < 172800 ? `${(seconds / 3600).toFixed(0)} h` : `${(seconds / 86400).toFixed(0)} days`;
}

// What is left of something, to be counted down.
export function left(seconds) {
  const minutes = Math.floor(Math.abs(seconds) / 60), hours = Math.floor(minutes / 60);
  if (seconds < 0 || minutes < 1) return seconds < 0 ? 'over' : 'less than a minute';
  if (hours >= 48) return `${Math.floor(hours / 24)} d ${hours % 24} h`;
  return hours ? `${hours} h ${minutes % 60} min` : `${minutes} min`;
}

const NEW_YORK = 'America/New_York';
const CLOCK = new Intl.DateTimeFormat('en-GB', { timeZone: NEW_YORK, hour: '2-digit', minute: '2-digit', second: '2-digit' });
const DATE = new Intl.DateTimeFormat('en-CA', { timeZone: NEW_YORK, year: 'numeric', month: '2-digit', day: '2-digit' });

export const clock = (nanoseconds) => CLOCK.format(new Date(nanoseconds / 1e6));
export const newYorkDate = (nanoseconds) => DATE.format(new Date(nanoseconds / 1e6));

export function newYork(nanoseconds) {
  const moment = new Date(nanoseconds / 1e6);
  return moment.toLocaleString('en-US', {
    timeZone: 'America/New_York', year: 'numeric', month: 'short', day: 'numeric',
    hour: '2-digit', minute: '2-digit', second: '2-digit', hour12: false,
  }) + ' New York';
}

// A date as the lists of expiries have it: 2026-12-18.
export function day(date) {
  return new Date(`${date}T00:00:00Z`).toLocaleDateString('en-US', { timeZone: 'UTC', year: 'numeric', month: 'short', day: 'numeric' });
}

export function shortDay(date) {
  return new Date(`${date}T00:00:00Z`).toLocaleDateString('en-US', { timeZone: 'UTC', month: 'short', day: 'numeric' });
}
