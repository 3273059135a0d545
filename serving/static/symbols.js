// What can be chosen: symbols, and the futures that show an index's levels in their own points.

import { $, element, say } from './dom.js';
import { age, dash, day, points } from './format.js';
import { why } from './words.js';

const SOURCES = { live: 'live', last: 'the last one measured', parity: 'implied by the index’s options (parity)' };
let futures = {};

// Fill the selector; returns the name that is chosen.
export function fillSymbols(found, wanted) {
  futures = found.futures ?? {};
  const plain = found.symbols.map((each) => each.symbol);
  const names = plain.flatMap((name) => [name, ...(futures[name] ?? [])]);
  const chosen = names.includes(wanted) ? wanted : names[0];
  const option = (name) => new Option(name, name, false, name === chosen);
  $('symbol').replaceChildren(...plain.map((name) => {
    if (!futures[name]?.length) return option(name);
    const group = element('optgroup', '', [name, ...futures[name]].map(option));
    group.label = `${name} and its futures`;
    return group;
  }));
  return chosen;
}

// The symbol whose own figures these are: SPX of /ES.
export const indexOf = (symbol) => Object.keys(futures).find((index) => futures[index].includes(symbol)) ?? symbol;

// How far a symbol's levels stand from its index's own, by its newest snapshot; null: nobody knows.
export const shiftOf = (symbol, s) => (indexOf(symbol) === symbol ? 0 : s?.basis?.points ?? null);

// The line that says what a future's levels stand on.
export function renderBasis(s) {
  const basis = s?.basis;
  $('basis').hidden = !basis;
  if (!basis) return;
  const known = basis.points !== null;
  $('basis').classList.toggle('bad', !known || basis.stale);
  say($('basis-points'), known
    ? `${s.symbol} = ${s.index} ${basis.points < 0 ? '−' : '+'} ${points(Math.abs(basis.points))} points`
    : `${s.symbol}: no basis, ${why(basis.reason)}`);
  say($('basis-source'), known ? SOURCES[basis.source] ?? '' : basis.age_s === null ? '' : 'last one');
  say($('basis-age'), basis.age_s === null ? '' : age(basis.age_s));
  say($('basis-stale'), known && basis.stale ? 'stale' : '');
  say($('basis-contract'), basis.contract ? `${basis.contract}${basis.expires ? `, settles ${day(basis.expires)}` : ''}` : '');
  say($('basis-twin'), basis.from_twin ? `from the ${basis.quoted.startsWith('/M') ? 'micro' : 'big one'} ${basis.quoted}` : '');
  const price = s.future_price;
  say($('basis-price'), price ? `${price.quoted} ${points(price.mid)}, ${age(price.age_s)}` : `${s.symbol} ${dash} not quoted`);
  say($('basis-index'), `${s.index} ${points(s.index_levels?.spot)}`);
}
