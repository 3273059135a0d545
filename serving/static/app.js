// The page: what is chosen, what came, and which panel shows it.

import { startAccount } from './account.js';
import { ChangePanel } from './change.js';
import { Ladder } from './chart.js';
import { clearEvents, followEvents, renderConfidence } from './coverage.js';
import { $, onChoice } from './dom.js';
import { renderExpiries } from './expiries.js';
import { age, dash, newYork, points } from './format.js';
import { renderLevels, renderTotals } from './levels.js';
import { Live } from './live.js';
import { judge, message, noteOf, state } from './notice.js';
import { rate, startReplay } from './replay.js';
import { Scopes } from './scopes.js';
import { api, session } from './session.js';
import { SurfacePanel } from './surface.js';
import { fillSymbols, renderBasis } from './symbols.js';

const chosen = { symbol: '', scope: 'all', weight: 'oi', side: 'net', window: 0.025 };
let snapshot = null, heardMs = 0, ageS = 0, scopes = null;

const ladder = new Ladder($('bars'), $('tip'));
const change = new ChangePanel(chosen);
const surface = new SurfacePanel(chosen, () => snapshot);
const events = followEvents(chosen);
const live = new Live({
  gex(next) {
    snapshot = next;
    heard(next);
    render();
  },
  age(stamp) {
    if (!snapshot) return;
    Object.assign(snapshot, stamp);
    heard(stamp);
    renderBasis(snapshot);
  },
  problem(problem) {
    const old = problem.reason === 'too_old' && snapshot; // they stay, dimmed, and their age goes on
    state('unavailable', problem.status === 401 ? 'signed out' : old ? 'too old' : 'no figures');
    message(problem.detail, true);
    if (!old) clear();
  },
  lost(why) {
    state('lost', 'disconnected');
    message(why || 'The connection is lost; trying again. Figures shown are the last that came.', true);
  },
});

function heard(stamp) {
  ageS = stamp.age_s;
  heardMs = performance.now();
  judge(snapshot);
  message(noteOf(snapshot));
  tick();
}

// No figure of another symbol or moment stays where its own are missing.
function clear() {
  snapshot = null;
  heardMs = 0;
  for (const id of ['age', 'regime', 'confidence-level', 'caption', 'provenance']) $(id).textContent = '';
  for (const id of ['spot', 'confidence']) $(id).textContent = dash;
  for (const id of ['level-list', 'total-list', 'reasons', 'coverage-list', 'expiry-rows']) $(id).replaceChildren();
  $('basis').hidden = $('coverage-title').hidden = true;
  $('meter').style.width = '0';
  document.title = `${chosen.symbol} · GEX`;
  ladder.clear();
}

function tick() {
  if (heardMs) $('age').textContent = age(ageS + (rate() * (performance.now() - heardMs)) / 1000);
}

function render() {
  if (!snapshot) return;
  const s = snapshot, figures = chosen.weight === 'oi' ? s : s.volume ?? {};
  $('spot').textContent = points(s.spot);
  const net = figures.net_gex ?? null;
  $('regime').textContent = net === null ? '' : net >= 0 ? 'positive gamma' : 'negative gamma';
  $('regime').className = net >= 0 ? 'call' : 'put';
  document.title = `${s.symbol} ${points(s.spot)} · GEX${s.replayed ? ' (replay)' : ''}${s.mode === 'simulated' ? ' (simulated)' : ''}`;
  renderBasis(s);
  renderLevels(s, figures);
  renderTotals(s, figures);
  renderConfidence(s);
  renderExpiries(s.expiries);
  $('caption').textContent = ladder.render(s, figures, chosen);
  if (s.basis) surface.render();
  $('provenance').textContent =
    `${s.symbol} · scope ${s.scope} · convention ${s.convention} · source ${s.source} · ${s.contracts.toLocaleString('en-US')} contracts · quotes of ${newYork(s.ts_event_ns)} · ${s.dealer}`;
}

function choose() {
  history.replaceState(null, '', `#${new URLSearchParams({ symbol: chosen.symbol, scope: chosen.scope })}`);
  clear();
  clearEvents();
  state('', 'connecting');
  message('');
  live.follow(chosen.symbol, chosen.scope);
  change.follow();
  surface.follow();
  events.again();
}

async function start() {
  const answer = await fetch(api('/api/v1/status'), { cache: 'no-store' }).catch(() => null);
  if (answer?.status === 401) { location.replace(session ? `/?session=${encodeURIComponent(session)}` : '/'); return; }
  if (!answer?.ok) {
    live.on.lost(answer ? (await answer.json()).detail : '');
    setTimeout(start, 1500);
    return;
  }
  const found = await answer.json();
  $('simulated').hidden = found.mode !== 'simulated';
  const wanted = new URLSearchParams(location.hash.slice(1));
  chosen.symbol = fillSymbols(found, wanted.get('symbol'));
  scopes = new Scopes(found.scopes, wanted.get('scope'), (scope) => { chosen.scope = scope; choose(); });
  chosen.scope = scopes.chosen;
  scopes.follow(chosen.symbol);
  $('symbol').addEventListener('change', () => { chosen.symbol = $('symbol').value; scopes.follow(chosen.symbol); choose(); });
  onChoice('weight', (weight) => { chosen.weight = weight; render(); change.render(); surface.follow(); });
  onChoice('side', (side) => { chosen.side = side; render(); });
  onChoice('window', (span) => { chosen.window = Number(span); render(); surface.follow(); });
  choose();
}

setInterval(tick, 100);
startReplay();
startAccount();
start();
