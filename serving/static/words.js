// The words for what the figures name by a key.

import { day } from './format.js';

const SCOPES = {
  all: 'All', '0dte': '0DTE', next: 'Next', weekly: 'Week', monthly: 'Month',
  front0: 'First date', front1: 'Second date', to_opex: 'To OPEX', full90: '90 days',
};
const REASONS = {
  no_exposure: 'no exposure', no_crossing_in_range: 'no crossing within ±21%',
  only_across_dead_zone: 'only across a dead zone', coverage_unusable: 'quotes too poor',
  no_contracts: 'no contracts', no_spot: 'no spot', no_oi: 'no open interest', no_volume: 'no volume yet',
  no_usable_quotes: 'no usable quotes', no_vendor_gamma: 'the source gives no gamma',
  before_session_start: 'before today’s open', gap: 'nothing kept of then',
  no_change: 'nothing changed', no_common_strike: 'no strike in both moments',
  never_measured: 'the basis was never measured', no_future: 'the future is not quoted',
  no_index: 'the index has no price', roll: 'the basis is of the contract before the roll',
  too_old: 'the last basis is older than 24 hours', no_basis: 'there is no basis',
};
export const FACTORS = {
  greeks: 'open interest priced by our own volatility',
  forward: 'expiries with a parity forward',
  two_sided: 'near-money lines quoted on both sides',
  band: 'near-money spreads narrow enough',
  sync: 'spot in step with the options',
  quote_time: 'quotes young enough',
  feed: 'feed complete and alive',
};
const CAUSES = {
  greeks: 'volatilities missing', forward: 'forwards without parity', two_sided: 'one-sided quotes',
  band: 'wide spreads', sync: 'spot out of step', quote_time: 'old quotes', feed: 'feed incomplete',
};
export const FEED = {
  no_windows: 'no answer of the chain yet', silent: 'the feed is silent',
  frozen: 'no near-money quote has changed for a minute', windows: 'chain windows late or incomplete',
};

export function scopeName(scope) {
  const [, date, root] = /^expiry:(\d{4}-\d\d-\d\d)(?::(.+))?$/.exec(scope) ?? [];
  return date ? `${day(date)}${root ? ` ${root}` : ''}` : SCOPES[scope] ?? scope;
}

export function why(reason) {
  return reason ? REASONS[reason] ?? reason.replaceAll('_', ' ') : '';
}

// What lowers confidence, or why there are no figures: "two_sided", "feed:silent", "no_spot".
export function cause(name) {
  const [factor, detail] = name.split(':');
  return (factor === 'feed' && FEED[detail]) || CAUSES[factor] || why(name);
}
