// The surface: exposure by strike and expiry, asked for while it is on the screen.

import { $, onChoice, say } from './dom.js';
import { clock, dash, dollars, price } from './format.js';
import { Heatmap } from './heatmap.js';
import { path } from './live.js';
import { Poll } from './poll.js';
import { indexOf, shiftOf } from './symbols.js';
import { scopeName, why } from './words.js';

const EVERY_MS = 4000;
const NAMES = { gex: 'GEX', dex: 'DEX', vex: 'VEX', cex: 'CEX', vendor: 'GEX by the vendor’s gamma' };
const UNITS = { gex: 'per +1% of spot', vendor: 'per +1% of spot', dex: 'of delta', vex: 'of delta per vol point', cex: 'of delta per day' };

export class SurfacePanel {
  constructor(chosen, snapshot) {
    Object.assign(this, { chosen, snapshot, answer: null, exposure: 'gex' });
    this.map = new Heatmap($('surface'), $('surface-tip'));
    this.poll = new Poll(EVERY_MS, {
      address: () => this.address(),
      take: (answer) => { this.answer = answer; this.render(); },
      problem: (problem) => { this.answer = null; this.empty(problem.detail ?? 'No answer.'); },
    }, $('surface-panel'));
    onChoice('exposure', (value) => { this.exposure = value; this.follow(); });
  }

  get weight() {
    return this.chosen.weight === 'oi' ? 'open_interest' : 'volume';
  }

  address() {
    const { symbol, scope, window: span } = this.chosen;
    if (!symbol) return null;
    const query = new URLSearchParams({ scope, exposure: this.exposure, weight: this.weight, span });
    return `/api/v1/gex/${path(indexOf(symbol))}/surface?${query}`;
  }

  follow() {
    this.answer = null;
    this.empty('');
    this.poll.again();
  }

  // Nothing of before stays where there is no answer.
  empty(words) {
    this.map.show(null);
    say($('surface-note'), words);
    for (const id of ['surface-least', 'surface-most']) say($(id), dash);
    $('surface').setAttribute('aria-label', `Surface: no figures${words ? `, ${words}` : ''}`);
  }

  render() {
    const { answer, exposure, weight } = this;
    if (!answer) return;
    const shift = shiftOf(this.chosen.symbol, this.snapshot());
    if (shift === null) { this.empty(`Without a basis the strikes in points of ${this.chosen.symbol} are not known.`); return; }
    const cells = answer[weight];
    if (!cells || !answer.strikes.length) { this.empty(`No surface: ${why(answer.null_reasons[weight]) || 'no strike in this range'}.`); return; }
    const most = Math.max(...cells.net.flat().map((value) => Math.abs(value ?? 0)));
    const said = (at) => price(at + shift);
    this.map.show({ ...cells, strikes: answer.strikes, dates: answer.columns, spot: answer.spot, most, said });
    say($('surface-least'), dollars(-most));
    say($('surface-most'), dollars(most));
    const by = weight === 'volume' ? 'volume of the day' : 'open interest';
    say($('surface-note'), `${NAMES[exposure]}, $ ${UNITS[exposure]}, by ${by}; ${scopeName(answer.scope)}; ${clock(answer.ts_event_ns)} New York${answer.stale ? ', stale' : ''}. Arrow keys walk the cells.`);
    $('surface').setAttribute('aria-label', describe(answer, cells.net, said, `${NAMES[exposure]} ${UNITS[exposure]} by ${by}`));
  }
}

// What the picture shows, in words: how many cells, and the largest on each side of zero.
function describe(answer, net, said, name) {
  const all = net.flatMap((cells, row) => cells.map((value, column) => ({ value, row, column }))).filter((each) => each.value !== null);
  const cell = ({ value, row, column }) => `${dollars(value)} at ${said(answer.strikes[row])} of ${answer.columns[column].date}`;
  const highest = all.reduce((best, each) => (each.value > best.value ? each : best), { value: 0 });
  const lowest = all.reduce((best, each) => (each.value < best.value ? each : best), { value: 0 });
  const ends = [highest.value > 0 ? `most positive ${cell(highest)}` : '', lowest.value < 0 ? `most negative ${cell(lowest)}` : ''].filter(Boolean);
  return `${name}, by strike and expiry: ${answer.strikes.length} strikes, ${answer.columns.length} dates, spot ${answer.spot === null ? dash : said(answer.spot)}${ends.length ? `; ${ends.join(', ')}` : ''}.`;
}
