// The state of the figures: a dot and a word, and a line of what a reader must know.

import { $, say } from './dom.js';
import { why } from './words.js';

export function state(kind, words) {
  $('dot').className = `dot ${kind}`;
  say($('state'), words);
  document.body.classList.toggle('dim', kind === 'lost' || kind === 'unavailable');
  document.body.dataset.state = kind;
}

export function message(words, bad = false) {
  $('message').hidden = !words;
  $('message').classList.toggle('bad', bad);
  say($('message'), words);
}

// The state of an answer that came.
export function judge(s) {
  $('simulated').hidden = s.mode !== 'simulated';
  if (s.market === 'closed') return state('closed', 'market closed');
  if (s.basis?.points === null) return state('stale', 'no basis');
  if (s.stale) return state('stale', 'stale');
  if (s.confidence_level === 'unusable') return state('stale', 'unusable quotes');
  return state('live', s.replayed ? 'replay' : 'live');
}

// What a reader must know although an answer came.
export function noteOf(s) {
  if (!s) return '';
  if (s.basis?.points === null)
    return `No levels in points of ${s.symbol}: ${why(s.basis.reason)}. Dollars are those of ${s.index}.`;
  if (s.confidence_level === 'unusable')
    return 'The quotes do not carry levels: zero gamma, walls and expected move are left out. See Confidence.';
  if (s.market === 'closed') return 'The market is closed: these are the last figures of its session.';
  if (s.stale && s.basis?.stale) return 'The basis was measured too long ago: levels in points of the future are stale.';
  if (s.stale) return 'No new data while the market is open: these figures are stale.';
  return '';
}
