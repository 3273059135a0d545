// The table by expiry and root.

import { $, element } from './dom.js';
import { dollars, percent, points, strike } from './format.js';

export function renderExpiries(rows) {
  $('expiry-rows').replaceChildren(...rows.map((row) => {
    const net = element('td', dollars(row.net_gex), [], row.net_gex < 0 ? 'put' : 'call');
    const forward = points(row.forward) + (row.forward_method && row.forward_method !== 'parity' ? ` (${row.forward_method})` : '');
    const cells = [row.expiry, row.root, null, dollars(row.call_gex), dollars(row.put_gex), dollars(row.net_gex_volume), percent(row.share), strike(row.max_pain), forward];
    return element('tr', '', cells.map((text) => (text === null ? net : element('td', text))));
  }));
}
