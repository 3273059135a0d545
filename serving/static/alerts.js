// The alerts that hold now, each with its level in words, as the service says it.

import { $, element, say } from './dom.js';
import { clock, newYorkDate } from './format.js';

const LEVELS = { critical: 'Critical', warning: 'Warning' };
const CONSENT = ['auth_required', 'consent_ends'];
const shown = new Map();

// `left` says how long the consent lives; `signIn` begins a new one: null where the reader may not.
export function renderAlerts(active, left, signIn) {
  const wanted = [...active].sort((a, b) => (b.level === 'critical') - (a.level === 'critical'));
  const keys = wanted.map((alert) => `${alert.service} ${alert.name}`);
  for (const [key, item] of shown) if (!keys.includes(key)) { item.remove(); shown.delete(key); }
  wanted.forEach((alert, at) => fill(itemOf(keys[at]), alert, left, signIn));
  const items = keys.map((key) => shown.get(key));
  if (items.some((item, at) => $('alerts').children[at] !== item)) $('alerts').replaceChildren(...items);
}

function itemOf(key) {
  if (shown.has(key)) return shown.get(key);
  const left = element('span', '', [], 'left');
  left.setAttribute('role', 'timer'); // not read aloud each minute
  left.setAttribute('aria-live', 'off');
  const item = element('li', '', [element('strong'), element('span', '', [], 'text'), left, element('small')]);
  shown.set(key, item);
  return item;
}

function fill(item, alert, left, signIn) {
  const [level, text, counted, since, button] = item.children;
  if (CONSENT.includes(alert.name) && signIn && !button) item.append(buttonOf(signIn));
  if (!signIn) button?.remove();
  item.className = alert.level;
  item.dataset.name = alert.name;
  say(level, LEVELS[alert.level] ?? alert.level);
  say(text, alert.text);
  say(counted, alert.name === 'consent_ends' ? left : '');
  say(since, `since ${newYorkDate(alert.ts_ns)} ${clock(alert.ts_ns)} New York`);
}

function buttonOf(signIn) {
  const button = element('button', 'Sign in again');
  button.type = 'button';
  button.addEventListener('click', signIn);
  return button;
}
