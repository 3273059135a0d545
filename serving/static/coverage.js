// How sure the figures are, what they stand on at this moment, and when that changed.

import { $, element, list, say } from './dom.js';
import { clock, dash, percent, span } from './format.js';
import { path } from './live.js';
import { Poll } from './poll.js';
import { indexOf } from './symbols.js';
import { cause, FACTORS, FEED, scopeName, why } from './words.js';

const EVENTS_MS = 3000, SHOWN = 6;
const LEVEL_CLASS = { high: 'call', low: 'zero', unusable: 'bad' };

export function renderConfidence(s) {
  $('confidence').textContent = percent(s.confidence, 0);
  say($('confidence-level'), s.confidence_level ?? '');
  $('confidence-level').className = LEVEL_CLASS[s.confidence_level] ?? '';
  $('meter').style.width = `${100 * (s.confidence ?? 0)}%`;
  $('meter').className = s.confidence_level ?? '';
  const factors = s.coverage?.factors ?? {};
  const items = (s.coverage?.reasons ?? []).map((reason) => {
    const [name, detail] = reason.split(':');
    const words = (FACTORS[name] ?? name) + (detail ? `: ${FEED[detail] ?? why(detail)}` : '');
    return element('li', '', [element('b', percent(factors[name], 0)), ` ${words}`]);
  });
  if (!items.length && s.coverage) items.push(element('li', 'Nothing lowers it much.'));
  if (s.gap_s > 0) items.unshift(element('li', '', [element('b', `${Math.ceil(s.gap_s)} s`), ` of the feed lost (${s.gap_causes.join(', ')}) and not made up for yet by a whole chain`]));
  $('reasons').replaceChildren(...items);
  renderLive(s.coverage);
}

function renderLive(coverage) {
  const live = coverage?.live;
  $('coverage-title').hidden = !coverage;
  if (!coverage) { $('coverage-list').replaceChildren(); return; }
  const parity = ['Parity forwards', percent(coverage.parity_share, 0), 'of OI'];
  if (!live) { list($('coverage-list'), [parity, ['Feed', dash, 'a file, all of one moment']]); return; }
  const late = live.windows_complete < live.windows;
  const old = live.old_quotes > 0 ? `; ${percent(live.old_quotes, 0)} too old` : '';
  list($('coverage-list'), [
    ['Streamed', percent(live.streamed_share, 0), live.streamed_share === null ? 'no gamma' : 'of gamma'],
    parity,
    ['Chain windows', `${live.windows_complete} / ${live.windows}`,
      live.windows_age_s === null ? 'one never came whole' : `oldest ${span(live.windows_age_s)}`, '', late ? 'zero' : ''],
    ['Quote age', span(coverage.quote_age_s),
      live.quote_age_p90_s === null ? 'no timed quote' : `90% below ${span(live.quote_age_p90_s)}${old}`],
    ['Feed', live.feed_reason ? 'not whole' : 'alive', live.feed_reason ? FEED[live.feed_reason] ?? why(live.feed_reason) : '', '', live.feed_reason ? 'bad' : 'call'],
  ]);
}

// The newest changes of level of the chosen symbol.
export function followEvents(chosen) {
  const note = (words) => { say($('events-note'), words); $('events-note').hidden = !words; };
  return new Poll(EVENTS_MS, {
    address: () => chosen.symbol && `/api/v1/gex/${path(indexOf(chosen.symbol))}/events?limit=${SHOWN}`,
    take(answer) {
      const known = answer.events.map((event) => JSON.stringify(event)).join();
      note(answer.events.length ? '' : 'The level has not changed.');
      if ($('events').dataset.known === known) return;
      $('events').dataset.known = known;
      $('events').replaceChildren(...answer.events.map(row));
    },
    problem(problem) {
      clearEvents();
      note(problem.detail ?? 'No answer.');
    },
  }, $('events-panel'));
}

export function clearEvents() {
  delete $('events').dataset.known;
  $('events').replaceChildren();
  $('events-note').hidden = true;
}

function row(event) {
  const level = (name) => element('b', name ?? 'no figures', [], LEVEL_CLASS[name] ?? '');
  const reasons = event.reasons.map(cause).join(', ');
  return element('li', '', [
    element('time', clock(event.ts_event_ns)),
    element('span', scopeName(event.scope)),
    element('span', '', [level(event.level_before), ' → ', level(event.level)]),
    element('small', reasons),
  ]);
}
