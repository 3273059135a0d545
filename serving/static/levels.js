// Levels and totals of a snapshot, under the weight that is chosen.

import { $, list } from './dom.js';
import { away, change, dash, dollars, percent, points, strike } from './format.js';
import { why } from './words.js';

export function renderLevels(s, figures) {
  const level = (name, key, value, colour, shown = strike) => {
    const missing = value === null || value === undefined;
    const reason = figures.null_reasons?.[key] ?? s.null_reasons?.[key];
    return [name, missing ? dash : shown(value), missing ? why(reason) : away(value, s.spot), colour];
  };
  const move = s.expected_move;
  list($('level-list'), [
    spot(s),
    level('Zero gamma', 'zero_gamma', figures.zero_gamma, '--zero', points),
    level('Call wall', 'call_wall', figures.call_wall, '--call'),
    level('Put wall', 'put_wall', figures.put_wall, '--put'),
    level('Most gamma', 'abs_gamma_strike', figures.abs_gamma_strike),
    level('Max pain', 'max_pain', s.max_pain),
    ['Expected move', move?.points ? `±${points(move.points)}` : dash, move?.points ? percent(move.share, 2) : why(move?.reason)],
  ]);
}

function spot(s) {
  const name = s.index ? `${s.index} + basis` : 'Spot';
  return [name, points(s.spot), s.spot === null ? why(s.null_reasons?.spot) : '', '--spot'];
}

export function renderTotals(s, figures) {
  list($('total-list'), [
    ['Net GEX', dollars(figures.net_gex), '', '', figures.net_gex < 0 ? 'put' : 'call'],
    ['Calls', dollars(figures.call_gex)],
    ['Puts', dollars(figures.put_gex)],
    ['Net by volume', dollars(s.net_gex_volume)],
    [`Net by the vendor’s gamma${figures === s ? '' : ' (OI)'}`, dollars(s.vendor?.net_gex), ours(s.vendor), '', 'below'],
    ['Delta (DEX)', dollars(figures.dex)],
    ['Vanna, per vol point', dollars(figures.vex)],
    ['Charm, per day', dollars(figures.cex)],
  ]);
}

// How far ours, by open interest like the vendor's, is from it.
function ours(vendor) {
  if (!vendor) return 'the source gives no gamma';
  const gross = vendor.difference_to_gross;
  const share = gross === null ? '' : `, ${percent(Math.abs(gross), 2)} of gross`;
  return `ours ${change(vendor.difference)}${share}`;
}
