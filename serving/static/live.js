// The connection: Server-Sent Events with reconnect, and a watch over a stream that went silent.

import { api } from './session.js';

const SILENT_MS = 4000;

export class Live {
  constructor(on) {
    this.on = on; // {gex, age, problem, lost}
    this.source = null;
    this.heard = 0;
    setInterval(() => this.watch(), 1000);
  }

  follow(symbol, scope) {
    this.address = api(`/api/v1/gex/${path(symbol)}/stream?scope=${encodeURIComponent(scope)}&per_s=3`);
    this.connect();
  }

  connect() {
    this.source?.close();
    this.heard = performance.now();
    const source = (this.source = new EventSource(this.address));
    const take = (name) => source.addEventListener(name, (event) => {
      if (source !== this.source) return;
      this.heard = performance.now();
      this.on[name](JSON.parse(event.data));
    });
    ['gex', 'age', 'problem'].forEach(take);
    source.onerror = () => { if (source === this.source) this.explain(); };
  }

  // EventSource hides the status of a refusal: ask the plain address for the words.
  async explain() {
    this.on.lost('');
    try {
      const answer = await fetch(api('/api/v1/status'), { cache: 'no-store' });
      if (answer.status === 401) this.on.lost('This browser is no longer signed in. On the machine that runs it: gex open');
      else if (!answer.ok) this.on.lost((await answer.json()).detail);
    } catch { /* the server is away; the watch tries again */ }
  }

  watch() {
    if (!this.address || performance.now() - this.heard < SILENT_MS) return;
    this.on.lost('');
    this.connect();
  }
}

export function path(symbol) {
  return encodeURIComponent(symbol.replaceAll('/', '@').replaceAll(' ', ''));
}
