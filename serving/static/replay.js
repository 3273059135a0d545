// The bar of a replay: its market time, and the buttons that steer it.

import { clock, newYorkDate } from './format.js';
import { session } from './session.js';

const $ = (id) => document.getElementById(id);
const POLL_MS = 500, NOTE_MS = 8000;
const WORDS = {
  seeking: 'seeking', running: 'playing', paused: 'paused', ended: 'ended', failed: 'failed',
  lost: 'its process is gone',
};
let said = null, heardMs = 0, sliding = false, noteUntilMs = 0;

// Market seconds in a second, for ages between two answers.
export const rate = () => (session ? said?.runs ?? 0 : 1);

export function startReplay() {
  if (!session) return;
  $('replay').hidden = false;
  $('replay-toggle').addEventListener('click', () => tell(said?.state === 'paused' ? 'resume' : 'pause'));
  $('replay-step').addEventListener('click', () => tell('step'));
  $('replay-speed').addEventListener('change', () => tell('speed', { speed: $('replay-speed').value }));
  $('replay-seek').addEventListener('submit', (event) => {
    event.preventDefault();
    if ($('replay-to').value.trim()) tell('seek', { to: $('replay-to').value.trim() });
  });
  const slider = $('replay-slider');
  slider.addEventListener('input', () => { sliding = true; showTime(at(slider.value)); });
  slider.addEventListener('change', () => {
    sliding = false;
    tell('seek', { to: `${newYorkDate(at(slider.value))}T${clock(at(slider.value))}` });
  });
  setInterval(tick, 100);
  setInterval(poll, POLL_MS);
  poll();
}

async function poll() {
  try {
    const answer = await fetch(`/api/v1/sessions/${encodeURIComponent(session)}`, { cache: 'no-store' });
    if (answer.ok) take(await answer.json());
    else explain(await answer.json());
  } catch { /* the page says elsewhere that the connection is lost */ }
}

async function tell(verb, parameters = {}) {
  const query = new URLSearchParams(parameters);
  try {
    const answer = await fetch(`/api/v1/sessions/${encodeURIComponent(session)}/${verb}?${query}`, { method: 'POST' });
    if (answer.ok) { noteUntilMs = 0; take(await answer.json()); }
    else explain(await answer.json());
  } catch {
    explain({ detail: 'The connection is lost.' });
  }
}

function take(next) {
  said = next;
  heardMs = performance.now();
  const over = ['ended', 'failed', 'lost'].includes(said.state);
  $('replay').dataset.state = said.state;
  $('replay-state').textContent = WORDS[said.state] ?? said.state;
  if (heardMs > noteUntilMs) $('replay-note').textContent = said.problem ?? (said.lag_s > 2 && !over ? `figures ${said.lag_s.toFixed(0)} s behind` : '');
  $('replay-toggle').textContent = said.state === 'paused' ? 'Resume' : 'Pause';
  for (const id of ['replay-toggle', 'replay-step', 'replay-speed', 'replay-slider', 'replay-to', 'replay-go']) $(id).disabled = over;
  const speed = $('replay-speed'), value = String(said.speed);
  if (![...speed.options].some((option) => option.value === value)) speed.add(new Option(`${value}×`, value));
  if (document.activeElement !== speed) speed.value = value;
  tick();
}

function explain(problem) {
  $('replay-note').textContent = problem.detail ?? '';
  noteUntilMs = performance.now() + NOTE_MS;
}

function tick() {
  if (!said || sliding) return;
  const ran = ((performance.now() - heardMs) * said.runs) * 1e6;
  const now = Math.min(said.market_time_ns + ran, Math.max(said.end_ns, said.market_time_ns));
  showTime(now);
  $('replay-slider').value = (1000 * (now - said.start_ns)) / Math.max(said.end_ns - said.start_ns, 1);
}

function showTime(ns) {
  $('replay-time').textContent = `${newYorkDate(ns)} ${clock(ns)}`;
  $('replay-slider').setAttribute('aria-valuetext', clock(ns));
}

const at = (value) => said.start_ns + (Number(value) / 1000) * (said.end_ns - said.start_ns);
