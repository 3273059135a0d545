// Strike by expiry as colours: blue above zero, orange below, apart for every kind of eye.

import { dollars, shortDay } from './format.js';

const MARGIN = { left: 62, right: 10, top: 8, bottom: 24 };
const FONT = '11px system-ui, -apple-system, "Segoe UI", "DejaVu Sans", sans-serif';
const ZERO = [34, 44, 57], MORE = [92, 176, 255], LESS = [255, 158, 66];
const STEPS = { ArrowUp: [1, 0], ArrowDown: [-1, 0], ArrowLeft: [0, -1], ArrowRight: [0, 1] };
const css = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();

// By the cube root of the share of the largest, so that small cells show beside a few huge ones.
export function colourOf(value, most) {
  const share = most ? Math.cbrt(Math.min(1, Math.abs(value) / most)) : 0;
  const end = value < 0 ? LESS : MORE;
  return ZERO.map((from, at) => Math.round(from + (end[at] - from) * share));
}

export class Heatmap {
  constructor(canvas, tip) {
    Object.assign(this, { canvas, tip, view: null, at: null, due: false });
    new ResizeObserver(() => this.redraw()).observe(canvas);
    canvas.addEventListener('pointermove', (event) => this.point(event.offsetX, event.offsetY));
    canvas.addEventListener('pointerleave', () => this.walk(null));
    canvas.addEventListener('blur', () => this.walk(null));
    canvas.addEventListener('keydown', (event) => this.key(event));
  }

  // {strikes, dates, call, put, net, spot, most, said}, `said` the words for a price; null: nothing.
  show(view) {
    this.view = view;
    this.image = view && picture(view);
    this.redraw();
  }

  redraw() {
    if (this.due) return;
    this.due = true;
    requestAnimationFrame(() => { this.due = false; this.draw(); });
  }

  walk(at) {
    this.at = at;
    this.redraw();
  }

  point(x, y) {
    if (!this.image) return;
    const box = this.box(), { strikes, dates } = this.view;
    const column = Math.floor(((x - box.left) / box.width) * dates.length);
    const row = strikes.length - 1 - Math.floor(((y - box.top) / box.height) * strikes.length);
    const inside = column >= 0 && column < dates.length && row >= 0 && row < strikes.length;
    this.walk(inside ? { strike: strikes[row], date: dates[column].date } : null);
  }

  key(event) {
    const step = STEPS[event.key];
    if (!step || !this.image) return;
    event.preventDefault();
    const { strikes, dates, spot } = this.view;
    const now = this.place();
    const row = now ? clamp(now.row + step[0], strikes.length) : nearest(strikes, spot);
    const column = now ? clamp(now.column + step[1], dates.length) : 0;
    this.walk({ strike: strikes[row], date: dates[column].date });
  }

  // Where the cell that is pointed at stands in the newest answer.
  place() {
    if (!this.at || !this.image) return null;
    const row = this.view.strikes.indexOf(this.at.strike);
    const column = this.view.dates.findIndex((each) => each.date === this.at.date);
    return row < 0 || column < 0 ? null : { row, column };
  }

  box() {
    const { left, top, right, bottom } = MARGIN;
    return { left, top, width: this.canvas.clientWidth - left - right, height: this.canvas.clientHeight - top - bottom };
  }

  draw() {
    const { canvas, view, image } = this;
    const width = canvas.clientWidth, height = canvas.clientHeight, ratio = devicePixelRatio || 1;
    canvas.width = Math.round(width * ratio);
    canvas.height = Math.round(height * ratio);
    const pen = canvas.getContext('2d');
    pen.setTransform(ratio, 0, 0, ratio, 0, 0);
    pen.font = FONT;
    pen.textBaseline = 'middle';
    this.label();
    if (!image) return;
    const box = this.box();
    pen.imageSmoothingEnabled = false;
    pen.drawImage(image, box.left, box.top, box.width, box.height);
    axes(pen, box, view);
    spotLine(pen, box, view);
    this.frame(pen, box);
  }

  frame(pen, box) {
    const place = this.place();
    if (!place) return;
    const wide = box.width / this.view.dates.length, high = box.height / this.view.strikes.length;
    pen.strokeStyle = css('--text');
    pen.lineWidth = 1.5;
    pen.strokeRect(box.left + place.column * wide, box.top + (this.view.strikes.length - 1 - place.row) * high, wide, Math.max(high, 2));
  }

  label() {
    const place = this.place();
    this.tip.hidden = !place;
    if (!place) return;
    const { row, column } = place, { strikes, dates, said } = this.view;
    const parts = ['call', 'put', 'net'].map((side) => `${`${side}${side === 'net' ? '' : 's'}`.padEnd(7)}${dollars(this.view[side][row][column])}`);
    const words = [`${said(strikes[row])} · ${dates[column].date} ${dates[column].roots.join(' ')}`, ...parts].join('\n');
    if (this.tip.textContent !== words) this.tip.textContent = words;
    this.tip.classList.toggle('left', column >= dates.length / 2);
  }
}

const clamp = (at, count) => Math.max(0, Math.min(count - 1, at));

function nearest(strikes, price) {
  return strikes.reduce((best, each, at) => (Math.abs(each - price) < Math.abs(strikes[best] - price) ? at : best), 0);
}

// One pixel a cell, the highest strike on top; what is not listed stays empty.
function picture(view) {
  const { strikes, dates, net, most } = view;
  const image = new ImageData(dates.length, strikes.length);
  net.forEach((cells, row) => cells.forEach((value, column) => {
    if (value === null) return;
    const at = 4 * ((strikes.length - 1 - row) * dates.length + column);
    image.data.set([...colourOf(value, most), 255], at);
  }));
  const made = Object.assign(document.createElement('canvas'), { width: dates.length, height: strikes.length });
  made.getContext('2d').putImageData(image, 0, 0);
  return made;
}

function axes(pen, box, view) {
  const { strikes, dates, said } = view;
  const high = box.height / strikes.length, wide = box.width / dates.length;
  pen.fillStyle = css('--quiet');
  pen.textAlign = 'right';
  const step = roundStep(strikes, 24 / high);
  strikes.forEach((each, row) => {
    if (each % step === 0) pen.fillText(said(each), box.left - 8, box.top + (strikes.length - 0.5 - row) * high);
  });
  pen.textAlign = 'center';
  const everyColumn = Math.max(1, Math.ceil(48 / wide));
  for (let column = 0; column < dates.length; column += everyColumn) {
    const half = pen.measureText(shortDay(dates[column].date)).width / 2;
    const x = Math.min(Math.max(box.left + (column + 0.5) * wide, box.left + half), box.left + box.width - half);
    pen.fillText(shortDay(dates[column].date), x, box.top + box.height + 13);
  }
}

// The smallest round step of price whose labels stand `rows` apart, where strikes lie closest.
function roundStep(strikes, rows) {
  const gap = Math.min(...strikes.slice(1).map((each, at) => each - strikes[at]), Infinity);
  if (!Number.isFinite(gap)) return 1e-9;
  return [1, 2, 5, 10, 20, 25, 50, 100, 200, 500, 1000, 2000, 5000].find((step) => step >= gap * rows) ?? 1e4;
}

// Between the strikes around it, wherever these lie.
function spotLine(pen, box, view) {
  const { strikes, spot } = view;
  const above = spot === null ? -1 : strikes.findIndex((each) => each >= spot);
  if (above <= 0) return;
  const place = above - 1 + (spot - strikes[above - 1]) / (strikes[above] - strikes[above - 1]);
  const y = box.top + (strikes.length - 0.5 - place) * (box.height / strikes.length);
  const text = `spot ${view.said(spot)}`;
  for (const [colour, thick] of [[css('--ground'), 4], [css('--text'), 1.6]]) {
    pen.strokeStyle = colour;
    pen.lineWidth = thick;
    pen.beginPath();
    pen.moveTo(box.left, y);
    pen.lineTo(box.left + box.width, y);
    pen.stroke();
  }
  const wide = pen.measureText(text).width + 10;
  pen.fillStyle = css('--ground');
  pen.fillRect(box.left + box.width - wide, y - 17, wide, 14);
  pen.fillStyle = css('--text');
  pen.textAlign = 'right';
  pen.fillText(text, box.left + box.width - 5, y - 10);
}
