// Questions asked again and again while somebody can see the answer, never two at once.

import { api } from './session.js';

const PATIENCE_MS = 15_000, REFUSED_MS = 5000; // so long at least after a refusal

export class Poll {
  // `address` says what to ask, or null; `take` gets an answer, `problem` a refusal;
  // with a `target` nothing is asked while that is off the screen.
  constructor(everyMs, { address, take, problem }, target = null) {
    Object.assign(this, { everyMs, address, take, problem, seen: !target, subject: 0, timer: 0, dueMs: 0, asks: false });
    if (target) new IntersectionObserver((entries) => {
      this.seen = entries.at(-1).isIntersecting;
      this.wake();
    }).observe(target);
    document.addEventListener('visibilitychange', () => this.wake());
  }

  // The subject is another one: what is on its way is not taken.
  again() {
    this.subject += 1;
    this.asks = false;
    this.dueMs = 0;
    this.wake();
  }

  wake() {
    clearTimeout(this.timer);
    if (document.hidden || !this.seen || this.asks || !this.address()) return;
    this.timer = setTimeout(() => this.ask(), Math.max(0, this.dueMs - performance.now()));
  }

  async ask() {
    const subject = this.subject;
    this.asks = true;
    this.dueMs = performance.now() + this.everyMs;
    try {
      const answer = await fetch(api(this.address()), { cache: 'no-store', signal: AbortSignal.timeout(PATIENCE_MS) });
      const body = await answer.json();
      if (subject !== this.subject) return;
      if (answer.ok) this.take(body);
      else {
        this.dueMs += Math.max(0, REFUSED_MS - this.everyMs);
        this.problem(body);
      }
    } catch { /* the server is away, which the page says elsewhere */ }
    if (subject !== this.subject) return;
    this.asks = false;
    this.wake();
  }
}
