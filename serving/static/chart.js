// A ladder of strikes: price runs up the side, exposure to both sides of zero.

import { dollars, points, price } from './format.js';
import { viewOf } from './ladder.js';

const MARGIN = { left: 62, right: 14, top: 22, bottom: 22 };
const FONT = '11px system-ui, -apple-system, "Segoe UI", "DejaVu Sans", sans-serif';
const css = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();

export class Ladder {
  constructor(canvas, tip) {
    this.canvas = canvas;
    this.tip = tip;
    this.view = null;
    this.hover = null;
    this.due = false;
    new ResizeObserver(() => this.redraw()).observe(canvas);
    canvas.addEventListener('pointermove', (event) => this.point(event.offsetY));
    canvas.addEventListener('pointerleave', () => this.point(null));
    canvas.addEventListener('keydown', (event) => this.step(event));
    canvas.addEventListener('blur', () => this.point(null));
  }

  // Show a snapshot; returns the words that belong under it.
  render(s, figures, chosen) {
    const { view, caption, summary } = viewOf(s, figures, chosen);
    this.canvas.setAttribute('aria-label', summary);
    this.view = view;
    this.redraw();
    return caption;
  }

  clear() {
    this.canvas.setAttribute('aria-label', 'GEX by strike: no figures');
    this.view = null;
    this.redraw();
  }

  redraw() {
    if (this.due) return;
    this.due = true;
    requestAnimationFrame(() => { this.due = false; this.draw(); });
  }

  point(y) {
    if (!this.view || !this.shape || y === null) this.hover = null;
    else this.hover = nearest(this.view.rows, this.shape.price(y));
    this.redraw();
  }

  step(event) {
    const move = { ArrowUp: 1, ArrowDown: -1 }[event.key];
    if (!move || !this.view?.rows.length) return;
    event.preventDefault();
    const rows = this.view.rows;
    const at = this.hover ? rows.findIndex((row) => row.strike === this.hover.strike) : -1;
    const from = at < 0 ? rows.indexOf(nearest(rows, this.view.spot)) : at + move;
    this.hover = rows[Math.max(0, Math.min(rows.length - 1, from))];
    this.redraw();
  }

  draw() {
    const { canvas, view } = this;
    const width = canvas.clientWidth, height = canvas.clientHeight, ratio = devicePixelRatio || 1;
    canvas.width = Math.round(width * ratio);
    canvas.height = Math.round(height * ratio);
    const pen = canvas.getContext('2d');
    pen.setTransform(ratio, 0, 0, ratio, 0, 0);
    pen.font = FONT;
    pen.textBaseline = 'middle';
    if (!view || !view.rows.length) {
      this.shape = null;
      this.tip.hidden = true;
      pen.fillStyle = css('--quiet');
      pen.textAlign = 'center';
      pen.fillText(view ? view.empty ?? 'No strike in this range' : 'No figures', width / 2, height / 2);
      return;
    }
    this.shape = shapeOf(view, width, height);
    grid(pen, this.shape, width, height);
    if (view.curve) curve(pen, this.shape, view, this.hover);
    else bars(pen, this.shape, view, this.hover);
    lines(pen, this.shape, view, width);
    this.label();
  }

  label() {
    const row = this.hover && this.view.rows.find((each) => each.strike === this.hover.strike);
    this.tip.hidden = !row;
    if (!row) return;
    const parts = [['calls', row.call], ['puts', row.put], ['net', row.net]].filter(([, value]) => value !== undefined);
    const figures = parts.map(([name, value]) => `${name.padEnd(7)}${dollars(value)}`);
    const counts = row.callOi === undefined ? [] : [`OI     ${count(row.callOi)} / ${count(row.putOi)}`, `volume ${count(row.callVolume)} / ${count(row.putVolume)}`];
    this.tip.textContent = [price(row.strike), ...figures, ...counts].join('\n');
  }
}

function count(value) {
  return value.toLocaleString('en-US', { maximumFractionDigits: 0 });
}

function nearest(rows, price) {
  return rows.reduce((best, row) => (Math.abs(row.strike - price) < Math.abs(best.strike - price) ? row : best), rows[0]);
}

function shapeOf(view, width, height) {
  const low = view.spot * (1 - view.window), high = view.spot * (1 + view.window);
  const top = MARGIN.top, bottom = height - MARGIN.bottom;
  const values = view.rows.flatMap((row) => view.sides.map((side) => row[side] ?? 0));
  const most = Math.max(0, ...values), least = Math.min(0, ...values);
  const span = (most - least) || 1;
  const left = MARGIN.left, right = width - MARGIN.right;
  const scale = (right - left) / (span * 1.06);
  const zero = left + (-least + span * 0.03) * scale;
  const y = (price) => bottom - ((price - low) / (high - low)) * (bottom - top);
  const gaps = view.rows.slice(1).map((row, at) => row.strike - view.rows[at].strike);
  const gap = gaps.length ? Math.min(...gaps) : (high - low) / 20;
  const thick = Math.max(1, Math.min(16, (y(0) - y(gap)) * 0.72));
  return {
    low, high, top, bottom, left, right, least, most, y, thick,
    x: (value) => zero + value * scale,
    price: (at) => low + ((bottom - at) / (bottom - top)) * (high - low),
  };
}

function ticks(low, high, wanted) {
  const rough = (high - low) / wanted, power = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 2.5, 5, 10].map((each) => each * power).find((each) => each >= rough);
  const first = Math.ceil(low / step);
  return Array.from({ length: Math.max(0, Math.floor(high / step) - first + 1) }, (_, at) => (first + at) * step);
}

function grid(pen, shape, width, height) {
  pen.lineWidth = 1;
  pen.fillStyle = css('--quiet');
  pen.strokeStyle = css('--line');
  pen.textAlign = 'right';
  for (const price of ticks(shape.low, shape.high, Math.max(4, height / 46))) {
    const y = Math.round(shape.y(price)) + 0.5;
    stroke(pen, shape.left, y, shape.right, y);
    pen.fillText(points(price, price % 1 ? 1 : 0), shape.left - 8, y);
  }
  pen.textAlign = 'center';
  for (const value of ticks(shape.least, shape.most, Math.max(3, width / 150))) {
    const x = Math.round(shape.x(value)) + 0.5;
    pen.strokeStyle = value === 0 ? css('--quiet') : css('--line');
    stroke(pen, x, shape.top, x, shape.bottom);
    if (x > shape.left + 14 && x < shape.right - 18) pen.fillText(value === 0 ? '0' : dollars(value), x, shape.bottom + 12);
  }
}

function bars(pen, shape, view, hover) {
  const colours = { call: css('--call'), put: css('--put') };
  for (const row of view.rows) {
    const y = shape.y(row.strike);
    pen.globalAlpha = !hover || hover.strike === row.strike ? 1 : 0.55;
    for (const side of view.sides) {
      const value = row[side];
      if (value === null || value === undefined) continue;
      pen.fillStyle = side === 'net' ? (value < 0 ? colours.put : colours.call) : colours[side];
      const x = shape.x(0), end = shape.x(value);
      pen.fillRect(Math.min(x, end), y - shape.thick / 2, Math.max(1, Math.abs(end - x)), shape.thick);
    }
  }
  pen.globalAlpha = 1;
}

// Exposure if spot stood there: one line, filled towards zero by its sign.
function curve(pen, shape, view, hover) {
  const at = view.rows.map((row) => [shape.x(row.net), shape.y(row.strike)]);
  for (const [colour, positive] of [[css('--call'), true], [css('--put'), false]]) {
    pen.save();
    pen.beginPath();
    pen.rect(positive ? shape.x(0) : shape.left, shape.top, positive ? shape.right - shape.x(0) : shape.x(0) - shape.left, shape.bottom - shape.top);
    pen.clip();
    pen.beginPath();
    pen.moveTo(shape.x(0), at[0][1]);
    at.forEach(([x, y]) => pen.lineTo(x, y));
    pen.lineTo(shape.x(0), at.at(-1)[1]);
    pen.fillStyle = pen.strokeStyle = colour;
    pen.globalAlpha = 0.22;
    pen.fill();
    pen.globalAlpha = 1;
    pen.lineWidth = 2;
    pen.beginPath();
    at.forEach(([x, y]) => pen.lineTo(x, y));
    pen.stroke();
    pen.restore();
  }
  const place = hover && view.rows.findIndex((row) => row.strike === hover.strike);
  if (!hover || place < 0) return;
  pen.fillStyle = css('--text');
  pen.beginPath();
  pen.arc(...at[place], 4, 0, 2 * Math.PI);
  pen.fill();
}

// Lines lie at their price; their labels are moved apart where they would cover one another.
function lines(pen, shape, view, width) {
  const inside = view.lines.filter((line) => line.at > shape.low && line.at < shape.high);
  const placed = inside.map((line) => ({ ...line, y: shape.y(line.at) })).sort((a, b) => a.y - b.y);
  let last = shape.top - 14;
  for (const line of placed) {
    line.label = Math.max(line.y, last + 15);
    last = line.label;
  }
  for (let at = placed.length - 1, limit = shape.bottom; at >= 0; at -= 1) {
    placed[at].label = Math.min(placed[at].label, limit);
    limit = placed[at].label - 15;
  }
  for (const line of placed) {
    pen.strokeStyle = css(line.colour);
    pen.setLineDash(line.dashed ? [5, 4] : []);
    pen.lineWidth = line.wide ? 1.6 : 1.1;
    stroke(pen, shape.left, line.y, shape.right, line.y);
  }
  pen.setLineDash([]);
  for (const line of placed) {
    const text = `${line.name} ${price(line.at)}`;
    const wide = pen.measureText(text).width + 10;
    pen.fillStyle = css('--panel');
    pen.globalAlpha = 0.88;
    pen.fillRect(width - MARGIN.right - wide, line.label - 7, wide, 14);
    pen.globalAlpha = 1;
    pen.fillStyle = css(line.colour);
    pen.textAlign = 'right';
    pen.fillText(text, width - MARGIN.right - 5, line.label);
  }
}

function stroke(pen, x0, y0, x1, y1) {
  pen.beginPath();
  pen.moveTo(x0, y0);
  pen.lineTo(x1, y1);
  pen.stroke();
}
