// A new sign-in: the link of the consent page, and its answer, by the callback or pasted.

import { $, say } from './dom.js';
import { left } from './format.js';

const ADDRESS = '/api/v1/account/sign-in';
const HERE = ['127.0.0.1', 'localhost', '[::1]'].includes(location.hostname);
const CODE_LIFE = 'within 30 seconds of the consent, for its code lives no longer and works once';

export class Relogin {
  // `hurry` is told whether an answer is waited for.
  constructor(hurry) {
    Object.assign(this, { hurry, begun: null, seen: false, old: new Set(), endsMs: 0, busy: false });
    $('relogin-begin').addEventListener('click', () => this.begin());
    $('relogin-cancel').addEventListener('click', () => this.cancel());
    $('relogin-close').addEventListener('click', () => $('relogin').close());
    $('relogin-form').addEventListener('submit', (event) => { event.preventDefault(); this.finish(); });
    setInterval(() => this.count(), 1000);
  }

  open(account) {
    this.account = account;
    if (!$('relogin').open) $('relogin').showModal();
    if (this.begun) return;
    if (account.sign_in === 'pending') this.elsewhere();
    else this.begin();
  }

  // One that waits, and whose link is another page's: its answer may be pasted here.
  elsewhere() {
    this.show('A sign-in waits for its answer; its link was given to another page, or to this one before it was loaded again.'
      + ' Paste the address here, or take a new link: the old one is void then.');
    $('relogin-open').hidden = true;
    say($('relogin-back'), '');
    this.wait({ id: this.account.sign_in_id }, Infinity);
  }

  async begin() {
    this.old.add(this.account.sign_in_id).add(this.begun?.id);
    this.show('Asking for a link …', false);
    const found = await this.ask('');
    if (!found) {
      say($('relogin-state'), 'There is no link.');
      this.idle();
      return;
    }
    this.wait(found, found.expires_in_s);
    const simulated = this.account.mode === 'simulated' ? ' Simulated: nothing there is Schwab.' : '';
    this.show(`Sign in at the consent page with the brokerage account’s user, and allow.${simulated}`);
    $('relogin-open').hidden = false;
    $('relogin-link').href = found.url;
    $('relogin-url').placeholder = `${found.redirect_uri}?code=…`;
    say($('relogin-back'), backOf(found));
    this.count();
    $('relogin-link').focus();
  }

  wait(begun, seconds) {
    this.begun = begun;
    this.seen = false;
    this.endsMs = performance.now() + 1000 * seconds;
    this.hurry(true);
  }

  async finish() {
    const url = $('relogin-url').value.trim();
    if (!url) { this.problem('Paste the whole address that the browser ended at.'); return; }
    say($('relogin-state'), 'Finishing …');
    const found = await this.ask('/finish', { url });
    if (found) this.done();
    else say($('relogin-state'), 'Not signed in.');
  }

  async cancel() {
    if (!(await this.ask('/cancel'))) return;
    this.idle();
    $('relogin').close();
  }

  // What the streamer says of the newest sign-in, each second while one is pending.
  take(account) {
    this.account = account;
    if (!this.begun) return;
    if (account.sign_in_id === this.begun.id) {
      this.seen = true;
      if (account.sign_in === 'done') this.done();
      if (account.sign_in === 'failed') this.failed(`Not signed in: ${account.sign_in_problem}`);
      if (account.sign_in === 'none' && account.signed_in !== null) this.failed('The sign-in was cancelled.');
    } else if (account.sign_in_id && !this.old.has(account.sign_in_id)) {
      this.failed('Another sign-in was begun: this one is void.');
    } else if (this.seen && account.signed_in !== null) {
      this.failed('The streamer was started again: this link is void.');
    }
  }

  done() {
    this.idle();
    this.problem('');
    say($('relogin-state'), 'Signed in. Streaming goes on by itself.');
    $('relogin-close').focus();
  }

  failed(words) {
    this.idle();
    say($('relogin-state'), 'Not signed in.');
    this.problem(words);
  }

  // Nothing is waited for any more.
  idle() {
    this.begun = null;
    $('relogin-url').value = '';
    $('relogin-steps').hidden = true;
    $('relogin-cancel').hidden = true;
    $('relogin-link').removeAttribute('href');
    this.hurry(false);
  }

  show(words, steps = true) {
    say($('relogin-state'), words);
    this.problem('');
    $('relogin-steps').hidden = $('relogin-cancel').hidden = !steps;
  }

  problem(words) {
    $('relogin-problem').hidden = !words;
    say($('relogin-problem'), words);
  }

  count() {
    if (!this.begun?.url) return;
    const seconds = (this.endsMs - performance.now()) / 1000;
    if (seconds < 0) this.failed('The link is over: nobody answered in ten minutes. Take a new one.');
    else say($('relogin-left'), `this link can be answered for ${left(seconds)} more`);
  }

  // The answer to a POST; null, and the problem shown, if there was none.
  async ask(path, body = null) {
    if (this.busy) return null;
    this.enable(false);
    this.problem('');
    try {
      const answer = await fetch(`${ADDRESS}${path}`, {
        method: 'POST', cache: 'no-store',
        ...(body && { body: JSON.stringify(body), headers: { 'Content-Type': 'application/json' } }),
      });
      const said = await answer.json();
      if (answer.ok) return said;
      this.problem(said.detail);
    } catch {
      this.problem('The connection is lost. Try again in a moment.');
    } finally {
      this.enable(true);
    }
    return null;
  }

  enable(on) {
    this.busy = !on;
    for (const id of ['relogin-begin', 'relogin-cancel', 'relogin-finish']) $(id).disabled = !on;
  }
}

// How the answer comes back.
function backOf(begun) {
  if (begun.listening && HERE)
    return `Then the browser comes back to ${begun.redirect_uri} on this machine, where the answer is taken and this page goes on`
      + ' by itself. The browser may warn of the certificate, which was made a second ago for this purpose: go on,'
      + ` ${CODE_LIFE}. If it ends at an error instead, paste its address.`;
  const why = begun.listening ? 'This page is open on another machine than the streamer’s, which the browser cannot come back to'
    : `The answer cannot be taken by itself: ${begun.problem}`;
  return `${why}. The browser then ends at ${begun.redirect_uri} with an error: copy that whole address and paste it here,`
    + ` ${CODE_LIFE}.`;
}
