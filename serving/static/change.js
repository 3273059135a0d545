// Change over time: which strikes moved most since 1 to 30 minutes ago, and how far the total did.

import { $, element, say } from './dom.js';
import { change, clock, dash, price } from './format.js';
import { path } from './live.js';
import { Poll } from './poll.js';
import { scopeName, why } from './words.js';

const EVERY_MS = 1000, RUNNERS_UP = 2;
const KEPT = ['all', '0dte', 'front0', 'front1', 'full90'];
const SINCE = { current: 'now', one: '1 min', five: '5 min', ten: '10 min', fifteen: '15 min', thirty: '30 min' };

export class ChangePanel {
  constructor(chosen) {
    this.chosen = chosen;
    this.answer = null;
    this.poll = new Poll(EVERY_MS, {
      address: () => this.address(),
      take: (answer) => { this.answer = answer; this.render(); },
      problem: (problem) => { this.answer = null; this.clear(problem.detail ?? 'No answer.'); },
    }, $('change-panel'));
    this.clear('');
  }

  address() {
    const { symbol, scope } = this.chosen;
    return symbol && KEPT.includes(scope) ? `/api/v1/gex/${path(symbol)}/maxchange?scope=${scope}` : null;
  }

  follow() {
    this.answer = null;
    const { scope } = this.chosen;
    this.clear(KEPT.includes(scope) ? '' : `No changes are kept of “${scopeName(scope)}”: only of ${KEPT.map(scopeName).join(', ')}.`);
    this.poll.again();
  }

  clear(words) {
    this.note(words);
    $('change-rows').replaceChildren(...Object.values(SINCE).map((name) => tableRow(name, [cells(dash, dash), element('td', dash)].flat())));
  }

  note(words) {
    say($('change-note'), words);
  }

  render() {
    const { answer } = this;
    if (!answer) return;
    const weight = this.chosen.weight === 'oi' ? 'open_interest' : 'volume';
    const most = Math.max(...answer.changes.map((each) => Math.abs(each[weight].change ?? 0)));
    $('change-rows').replaceChildren(...answer.changes.map((each) => row(SINCE[each.look_back], each[weight], most)));
    const words = weight === 'volume' ? 'volume of the day' : 'open interest';
    this.note(`To ${clock(answer.ts_event_ns)} New York, by ${words}${answer.stale ? ', stale' : ''}; “now” is against the second before.`);
  }
}

function row(name, moved, most) {
  const net = element('td', change(moved.net_gex_change));
  if (moved.net_gex_reason && moved.net_gex_reason !== moved.reason) net.append(' ', element('small', why(moved.net_gex_reason)));
  if (moved.strike === null) {
    const reason = element('td', dash, [' ', element('small', why(moved.reason))], 'why');
    reason.colSpan = 2;
    return tableRow(name, [reason, element('td', '', [], 'bars'), net, element('td', '', [], 'also')]);
  }
  const runners = moved.top.slice(1, 1 + RUNNERS_UP).map(([place, value]) => `${price(place)} ${change(value)}`).join('   ');
  const left = moved.skipped ? `   ${moved.skipped} new or gone` : '';
  return tableRow(name, [...cells(price(moved.strike), change(moved.change), moved.change / most), net, element('td', `${runners}${left}`.trim(), [], 'also')]);
}

function cells(place, value, share = 0) {
  const bar = element('i', '', [], share < 0 ? 'minus' : 'plus');
  bar.style.width = `${50 * Math.abs(share || 0)}%`;
  const kind = share < 0 ? 'put' : share > 0 ? 'call' : '';
  return [element('td', place), element('td', value, [], kind), element('td', '', [element('div', '', [bar], 'delta')], 'bars')];
}

function tableRow(name, columns) {
  const head = element('th', name);
  head.scope = 'row';
  return element('tr', '', [head, ...columns]);
}
