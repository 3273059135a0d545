// Which expiries: segments for what is published, a list for what is folded on request.

import { $, element } from './dom.js';
import { path } from './live.js';
import { api } from './session.js';
import { scopeName } from './words.js';

const ON_REQUEST = ['front0', 'front1', 'to_opex', 'full90'];
const EXPIRY = /^expiry:\d{4}-\d\d-\d\d(:[A-Z0-9]+)?$/;

export class Scopes {
  constructor(published, chosen, take) {
    this.published = published;
    this.take = take;
    this.more = $('more-scopes');
    this.chosen = this.known(chosen) ? chosen : 'all';
    $('scope').append(...published.map((scope) => this.segment(scope)));
    this.more.addEventListener('change', () => this.choose(this.more.value));
    for (const event of ['pointerdown', 'focus']) this.more.addEventListener(event, () => this.list());
    this.symbol = '';
    this.dates = [];
    this.show();
  }

  known(scope) {
    return this.published.includes(scope) || ON_REQUEST.includes(scope) || EXPIRY.test(scope ?? '');
  }

  segment(scope) {
    const input = Object.assign(document.createElement('input'), { type: 'radio', name: 'scope', value: scope });
    input.addEventListener('change', () => this.choose(scope));
    return element('label', '', [input, element('span', scopeName(scope))]);
  }

  choose(scope) {
    this.chosen = scope;
    this.show();
    this.take(scope);
  }

  // The expiry dates of another symbol are others.
  follow(symbol) {
    this.symbol = symbol;
    this.dates = [];
    this.show();
    this.list();
  }

  async list() {
    const symbol = this.symbol;
    try {
      const answer = await fetch(api(`/api/v1/gex/${path(symbol)}/expiries`), { cache: 'no-store' });
      if (!answer.ok || symbol !== this.symbol) return;
      const dates = [...new Set((await answer.json()).expiries.map((row) => row.expiry))].sort();
      if (dates.join() === this.dates.join()) return;
      this.dates = dates;
      this.show();
    } catch { /* the page says elsewhere that the connection is lost */ }
  }

  show() {
    const { more, chosen, published } = this;
    for (const input of document.querySelectorAll('[name=scope]')) input.checked = input.value === chosen;
    const dates = this.dates.map((date) => `expiry:${date}`);
    const rest = [...ON_REQUEST, ...dates, ...published];
    const group = (label, scopes) => {
      const made = element('optgroup', '', scopes.map((scope) => new Option(scopeName(scope), scope)));
      made.label = label;
      return scopes.length ? [made] : [];
    };
    const prompt = new Option('More…', '');
    prompt.disabled = prompt.hidden = true;
    more.replaceChildren(prompt, ...group('On request', ON_REQUEST), ...group('One expiry date', dates),
      ...group('Chosen', rest.includes(chosen) ? [] : [chosen]));
    more.value = published.includes(chosen) ? '' : chosen;
    more.classList.toggle('on', !published.includes(chosen));
  }
}
