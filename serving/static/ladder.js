// What the ladder shows of a snapshot: bars by strike, or the profile over spot.

import { dollars, points, strike } from './format.js';
import { why } from './words.js';

const SIDES = { both: ['call', 'put'], net: ['net'], call: ['call'], put: ['put'] };
const NAMES = { both: 'Calls and puts', net: 'Net', call: 'Calls', put: 'Puts', profile: 'Net if spot stood elsewhere' };

export function viewOf(s, figures, chosen) {
  const volume = chosen.weight === 'volume', curve = chosen.side === 'profile';
  for (const input of document.querySelectorAll('[name=side]')) input.disabled = volume && !['net', 'profile'].includes(input.value);
  const side = volume && !curve ? 'net' : chosen.side;
  const inside = (row) => Math.abs(row.strike / s.spot - 1) <= chosen.window;
  const rows = curve ? reaching(profile(figures), inside) : strikes(s, volume).filter(inside);
  const lines = [
    { name: 'spot', at: s.spot, colour: '--spot', wide: true },
    { name: 'zero gamma', at: figures.zero_gamma, colour: '--zero', dashed: true },
    { name: 'call wall', at: figures.call_wall, colour: '--call', dashed: true },
    { name: 'put wall', at: figures.put_wall, colour: '--put', dashed: true },
  ].filter((line) => line.at !== null && line.at !== undefined);
  const empty = { rows: [], empty: `No levels: ${why(s.null_reasons?.spot ?? 'no_spot')}` };
  const by = volume ? `the volume of the day${curve ? '' : ' (net only)'}` : 'open interest';
  return {
    view: s.spot ? { rows, lines, curve, sides: SIDES[side] ?? SIDES.net, spot: s.spot, window: chosen.window } : empty,
    caption: `${NAMES[side]}, weighted by ${by}; $ of dealer delta per +1% of spot. Arrow keys walk the ${curve ? 'prices' : 'strikes'}.`,
    summary: `GEX by strike of ${s.symbol}: net ${dollars(figures.net_gex)} per 1%, spot ${points(s.spot)}, zero gamma ${points(figures.zero_gamma)}, call wall ${strike(figures.call_wall)}, put wall ${strike(figures.put_wall)}.`,
  };
}

const profile = (figures) => (figures.profile ?? []).map(([at, net]) => ({ strike: at, net }));

// The rows inside and one on each side, so that a curve ends at the edge.
const reaching = (rows, inside) => rows.filter((row, at) => [rows[at - 1], row, rows[at + 1]].some((each) => each && inside(each)));

function strikes(s, volume) {
  return s.strikes.map((row) => ({
    strike: row.strike, net: volume ? row.net_gex_volume : row.net_gex,
    call: volume ? undefined : row.call_gex, put: volume ? undefined : row.put_gex,
    callOi: row.call_oi, putOi: row.put_oi, callVolume: row.call_volume, putVolume: row.put_volume,
  }));
}
