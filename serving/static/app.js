// The page: what is chosen, what came, and how it is shown.

import { Ladder } from './chart.js';
import { age, away, dash, dollars, newYork, percent, points, strike } from './format.js';
import { Live } from './live.js';
import { rate, startReplay } from './replay.js';
import { api, session } from './session.js';

const $ = (id) => document.getElementById(id);
const SCOPE_NAMES = { all: 'All', '0dte': '0DTE', next: 'Next', weekly: 'Week', monthly: 'Month' };
const FACTORS = {
  greeks: 'open interest priced by our own volatility',
  forward: 'expiries with a parity forward',
  two_sided: 'near-money lines quoted on both sides',
  band: 'near-money spreads narrow enough',
  sync: 'spot in step with the options',
  quote_time: 'quotes young enough',
  feed: 'feed complete and alive',
};
const FEED = {
  no_windows: 'no answer of the chain yet', silent: 'the feed is silent',
  frozen: 'no near-money quote has changed for a minute', windows: 'windows of the chain are missing',
};
const REASONS = {
  no_exposure: 'no exposure', no_crossing_in_range: 'no crossing within ±21%',
  only_across_dead_zone: 'only across a dead zone', coverage_unusable: 'quotes too poor',
  no_contracts: 'no contracts', no_spot: 'no spot', no_oi: 'no open interest',
};
const chosen = { symbol: '', scope: 'all', weight: 'oi', side: 'net', window: 0.025 };
let snapshot = null, heardMs = 0, ageS = 0;

const ladder = new Ladder($('bars'), $('tip'));
const live = new Live({
  gex(next) {
    snapshot = next;
    heard(next);
    message('');
    render();
  },
  age(stamp) {
    if (!snapshot) return;
    Object.assign(snapshot, stamp);
    heard(stamp);
    message('');
  },
  problem(problem) {
    state('unavailable', problem.status === 401 ? 'signed out' : 'no figures');
    message(problem.detail, true);
    clear();
  },
  lost(why) {
    state('lost', 'disconnected');
    message(why || 'The connection is lost; trying again. Figures shown are the last that came.', true);
  },
});

function heard(stamp) {
  const now = performance.now();
  ageS = stamp.age_s;
  heardMs = now;
  $('simulated').hidden = stamp.mode !== 'simulated';
  const low = snapshot?.confidence_level === 'unusable';
  if (stamp.market === 'closed') state('closed', 'market closed');
  else if (stamp.stale) state('stale', 'stale');
  else if (low) state('stale', 'unusable quotes');
  else state('live', stamp.replayed ? 'replay' : 'live');
  tick();
}

function state(kind, words) {
  $('dot').className = `dot ${kind}`;
  if ($('state').textContent !== words) $('state').textContent = words;
  document.body.classList.toggle('dim', kind === 'lost' || kind === 'unavailable');
  document.body.dataset.state = kind;
}

function message(text, bad = false) {
  const words = text || note();
  $('message').hidden = !words;
  $('message').classList.toggle('bad', bad);
  if ($('message').textContent !== words) $('message').textContent = words;
}

// What a reader must know although an answer came.
function note() {
  if (!snapshot) return '';
  if (snapshot.confidence_level === 'unusable')
    return 'The quotes do not carry levels: zero gamma, walls and expected move are left out. See Confidence.';
  if (snapshot.market === 'closed') return 'The market is closed: these are the last figures of its session.';
  if (snapshot.stale) return 'No new data while the market is open: these figures are stale.';
  return '';
}

// No figure of another symbol or moment stays where its own are missing.
function clear() {
  snapshot = null;
  heardMs = 0;
  for (const id of ['age', 'regime', 'confidence-level', 'caption', 'provenance']) $(id).textContent = '';
  for (const id of ['spot', 'confidence']) $(id).textContent = dash;
  for (const id of ['level-list', 'total-list', 'reasons', 'expiry-rows']) $(id).replaceChildren();
  $('meter').style.width = '0';
  $('bars').setAttribute('aria-label', 'GEX by strike: no figures');
  document.title = `${chosen.symbol} · GEX`;
  ladder.show(null);
}

function tick() {
  if (!heardMs) return;
  $('age').textContent = age(ageS + (rate() * (performance.now() - heardMs)) / 1000);
}

function render() {
  if (!snapshot) return;
  const s = snapshot, figures = chosen.weight === 'oi' ? s : s.volume ?? {};
  $('spot').textContent = points(s.spot);
  const net = figures.net_gex ?? null;
  $('regime').textContent = net === null ? '' : net >= 0 ? 'positive gamma' : 'negative gamma';
  $('regime').className = net >= 0 ? 'call' : 'put';
  document.title = `${s.symbol} ${points(s.spot)} · GEX${s.replayed ? ' (replay)' : ''}${s.mode === 'simulated' ? ' (simulated)' : ''}`;
  renderLevels(s, figures);
  renderTotals(s, figures);
  renderConfidence(s);
  renderExpiries(s.expiries);
  renderChart(s, figures);
  $('provenance').textContent =
    `${s.symbol} · scope ${s.scope} · convention ${s.convention} · source ${s.source} · ${s.contracts.toLocaleString('en-US')} contracts · quotes of ${newYork(s.ts_event_ns)} · ${s.dealer}`;
}

function renderChart(s, figures) {
  const volume = chosen.weight === 'volume';
  const rows = s.strikes
    .filter((row) => Math.abs(row.strike / s.spot - 1) <= chosen.window)
    .map((row) => ({
      strike: row.strike, net: volume ? row.net_gex_volume : row.net_gex,
      call: volume ? undefined : row.call_gex, put: volume ? undefined : row.put_gex,
      callOi: row.call_oi, putOi: row.put_oi, callVolume: row.call_volume, putVolume: row.put_volume,
    }));
  const sides = volume ? ['net'] : { both: ['call', 'put'], net: ['net'], call: ['call'], put: ['put'] }[chosen.side];
  for (const input of document.querySelectorAll('[name=side]')) input.disabled = volume && input.value !== 'net';
  const lines = [
    { name: 'spot', at: s.spot, colour: '--spot', wide: true },
    { name: 'zero gamma', at: figures.zero_gamma, colour: '--zero', dashed: true },
    { name: 'call wall', at: figures.call_wall, colour: '--call', dashed: true },
    { name: 'put wall', at: figures.put_wall, colour: '--put', dashed: true },
  ].filter((line) => line.at !== null && line.at !== undefined);
  ladder.show(s.spot ? { rows, sides, lines, spot: s.spot, window: chosen.window } : null);
  const side = volume ? 'net' : { both: 'calls and puts', net: 'net', call: 'calls', put: 'puts' }[chosen.side];
  $('caption').textContent = `${side}, weighted by ${volume ? 'the volume of the day (net only)' : 'open interest'}; $ of dealer delta per +1% of spot. Arrow keys walk the strikes.`;
  $('bars').setAttribute('aria-label', `GEX by strike of ${s.symbol}: net ${dollars(figures.net_gex)} per 1%, spot ${points(s.spot)}, zero gamma ${points(figures.zero_gamma)}, call wall ${strike(figures.call_wall)}, put wall ${strike(figures.put_wall)}.`);
}

function renderLevels(s, figures) {
  const why = (name) => {
    const reason = figures.null_reasons?.[name];
    return reason ? REASONS[reason] ?? reason.replaceAll('_', ' ') : '';
  };
  const level = (name, key, value, colour, shown = strike) => [
    name, value === null || value === undefined ? dash : shown(value),
    value === null || value === undefined ? why(key) : away(value, s.spot), colour,
  ];
  const move = s.expected_move;
  list($('level-list'), [
    ['Spot', points(s.spot), '', '--spot'],
    level('Zero gamma', 'zero_gamma', figures.zero_gamma, '--zero', points),
    level('Call wall', 'call_wall', figures.call_wall, '--call'),
    level('Put wall', 'put_wall', figures.put_wall, '--put'),
    level('Most gamma', 'abs_gamma_strike', figures.abs_gamma_strike),
    level('Max pain', 'max_pain', s.max_pain),
    ['Expected move', move?.points ? `±${points(move.points)}` : dash, move?.points ? percent(move.share, 2) : (move?.reason ?? '').replaceAll('_', ' ')],
  ]);
}

function renderTotals(s, figures) {
  list($('total-list'), [
    ['Net GEX', dollars(figures.net_gex), '', '', figures.net_gex < 0 ? 'put' : 'call'],
    ['Calls', dollars(figures.call_gex)],
    ['Puts', dollars(figures.put_gex)],
    ['Net by volume', dollars(s.net_gex_volume)],
    ['Delta (DEX)', dollars(figures.dex)],
    ['Vanna, per vol point', dollars(figures.vex)],
    ['Charm, per day', dollars(figures.cex)],
  ]);
}

function renderConfidence(s) {
  $('confidence').textContent = percent(s.confidence, 0);
  $('confidence-level').textContent = s.confidence_level ?? '';
  $('confidence-level').className = { high: 'call', low: 'zero', unusable: 'bad' }[s.confidence_level] ?? '';
  $('meter').style.width = `${100 * (s.confidence ?? 0)}%`;
  $('meter').className = s.confidence_level ?? '';
  const factors = s.coverage?.factors ?? {};
  const reasons = s.coverage?.reasons ?? [];
  const rows = reasons.length ? reasons : [];
  const items = rows.map((reason) => {
    const [name, cause] = reason.split(':');
    const words = (FACTORS[name] ?? name) + (cause ? `: ${FEED[cause] ?? cause}` : '');
    return element('li', '', [element('b', percent(factors[name], 0)), ` ${words}`]);
  });
  if (!items.length && s.coverage) items.push(element('li', 'Nothing lowers it much.'));
  if (s.gap_s > 0) items.unshift(element('li', '', [element('b', `${Math.ceil(s.gap_s)} s`), ` of the feed lost (${s.gap_causes.join(', ')}) and not made up for yet by a whole chain`]));
  $('reasons').replaceChildren(...items);
}

function renderExpiries(rows) {
  $('expiry-rows').replaceChildren(...rows.map((row) => {
    const net = element('td', dollars(row.net_gex));
    net.className = row.net_gex < 0 ? 'put' : 'call';
    const forward = points(row.forward) + (row.forward_method && row.forward_method !== 'parity' ? ` (${row.forward_method})` : '');
    const cells = [row.expiry, row.root, null, dollars(row.call_gex), dollars(row.put_gex), dollars(row.net_gex_volume), percent(row.share), strike(row.max_pain), forward];
    return element('tr', '', cells.map((text) => (text === null ? net : element('td', text))));
  }));
}

function list(target, rows) {
  target.replaceChildren(...rows.flatMap(([name, value, note, colour, kind]) => {
    const term = element('dt', name);
    if (colour) {
      const swatch = element('span', '');
      swatch.className = 'swatch';
      swatch.style.setProperty('--c', `var(${colour})`);
      term.prepend(swatch);
    }
    const figure = element('dd', value);
    if (kind) figure.className = kind;
    if (note) figure.append(element('small', note));
    return [term, figure];
  }));
}

function element(name, text, children = []) {
  const made = document.createElement(name);
  if (text) made.textContent = text;
  made.append(...children);
  return made;
}

function choose() {
  history.replaceState(null, '', `#${new URLSearchParams({ symbol: chosen.symbol, scope: chosen.scope })}`);
  clear();
  state('', 'connecting');
  message('');
  live.follow(chosen.symbol, chosen.scope);
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
  const names = found.symbols.map((each) => each.symbol);
  chosen.symbol = names.includes(wanted.get('symbol')) ? wanted.get('symbol') : names[0];
  chosen.scope = found.scopes.includes(wanted.get('scope')) ? wanted.get('scope') : 'all';
  $('symbol').replaceChildren(...names.map((name) => new Option(name, name, false, name === chosen.symbol)));
  $('symbol').addEventListener('change', () => { chosen.symbol = $('symbol').value; choose(); });
  for (const scope of found.scopes) {
    const input = Object.assign(document.createElement('input'), { type: 'radio', name: 'scope', value: scope, checked: scope === chosen.scope });
    input.addEventListener('change', () => { chosen.scope = scope; choose(); });
    $('scope').append(element('label', '', [input, element('span', SCOPE_NAMES[scope] ?? scope)]));
  }
  for (const name of ['weight', 'side', 'window']) {
    for (const input of document.querySelectorAll(`[name=${name}]`)) {
      input.addEventListener('change', () => { chosen[name] = name === 'window' ? Number(input.value) : input.value; render(); });
    }
  }
  choose();
}

setInterval(tick, 100);
startReplay();
start();
