// The account of the live market: how the sign-in stands, how long it lasts, and what alerts say.

import { renderAlerts } from './alerts.js';
import { $, list, say } from './dom.js';
import { left, newYork } from './format.js';
import { Poll } from './poll.js';
import { Relogin } from './relogin.js';
import { session } from './session.js';

const ACCOUNT_MS = 5000, ALERTS_MS = 3000, PENDING_MS = 1000;
const WHY = {
  no_streamer: 'no streamer runs', streamer_away: 'the streamer is silent', starting: 'the streamer starts',
  not_signed_in: 'not signed in', unknown_age: 'nobody knows when it was given', no_access_token: 'none yet',
};
let account = null, heardMs = 0, active = [], relogin = null;

export function startAccount() {
  if (session) return; // a replay has no account
  const polls = [
    new Poll(ACCOUNT_MS, { address: () => '/api/v1/account', take, problem() {} }),
    new Poll(ALERTS_MS, { address: () => '/api/v1/alerts?limit=1', take: (found) => told(found, polls[0]), problem() {} }),
  ];
  relogin = new Relogin((pending) => hurry(polls, pending));
  $('sign-in').addEventListener('click', signIn);
  for (const poll of polls) poll.wake();
  setInterval(render, 1000);
}

// While a sign-in is pending, its end is noticed within a second or two.
function hurry(polls, pending) {
  polls.forEach((poll, at) => {
    poll.everyMs = pending ? PENDING_MS : [ACCOUNT_MS, ALERTS_MS][at];
    poll.again();
  });
}

// Another alert: what it is about is asked for at once.
function told(found, poll) {
  const names = (alerts) => alerts.map((alert) => alert.name).join();
  if (names(found.active) !== names(active)) poll.again();
  active = found.active;
  render();
}

function take(found) {
  account = found;
  heardMs = performance.now();
  relogin.take(found);
  render();
}

const signIn = () => relogin.open(account);

// Seconds that are left of what had so many when the account was heard; null: nobody knows.
const now = (seconds) => (seconds === null ? null : seconds - (performance.now() - heardMs) / 1000);

function render() {
  const consent = account && account.signed_in !== false ? now(account.consent_left_s) : null;
  const counted = consent === null ? '' : consent < 0 ? 'the consent is over' : `${left(consent)} left`;
  if (account) renderPanel(consent);
  renderAlerts(active, counted, account?.may_sign_in ? signIn : null);
}

function renderPanel(consent) {
  const why = account.null_reasons, access = now(account.access_left_s);
  $('account').hidden = false;
  list($('account-list'), [
    account.signed_in === null ? ['Sign-in', 'unknown', WHY[why.signed_in]]
      : account.signed_in ? ['Sign-in', account.mode === 'simulated' ? 'signed in (simulated)' : 'signed in', '', '', 'call']
        : ['Sign-in', 'a person is needed', '', '', 'bad'],
    account.signed_in === false ? ['Consent', 'not taken any more', '', '', 'bad']
      : consent === null ? ['Consent', 'unknown', WHY[why.consent_ends_ts]]
      : ['Consent', consent < 0 ? 'over' : `ends in ${left(consent)}`, '', '', consent < 0 ? 'bad' : account.consent_due ? 'zero' : ''],
    ...(consent === null ? [] : [['Ends', when(account.consent_ends_ts)], ['New one due', account.consent_due ? 'now' : when(account.consent_due_ts)]]),
    ['Access token', access === null ? 'unknown' : access < 0 ? 'over' : `${left(access)} left`, access === null ? WHY[why.access_ends_ts] : ''],
    ...(account.account ? [['Account', account.account]] : []),
  ]);
  const notes = [account.consent_note, account.token_problem, account.sign_in === 'pending' && 'a sign-in waits for its answer',
    !account.may_sign_in && 'this key may only read: sign in by gex auth login, or open the page by gex open'];
  say($('account-note'), notes.filter(Boolean).map((note) => `${note[0].toUpperCase()}${note.slice(1)}.`).join(' '));
  $('sign-in').hidden = !account.may_sign_in;
  say($('sign-in'), account.sign_in === 'pending' ? 'Go on with the sign-in' : 'Sign in again');
}

const when = (seconds) => newYork(seconds * 1e9).replace(/(, \d{4})?, (\d\d:\d\d):\d\d/, ', $2');
