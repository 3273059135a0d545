// How panels make their elements.

export const $ = (id) => document.getElementById(id);

export function element(name, text, children = [], className = '') {
  const made = document.createElement(name);
  if (text) made.textContent = text;
  if (className) made.className = className;
  made.append(...children);
  return made;
}

// Words that a screen reader may read aloud are set only when they are others.
export function say(target, words) {
  if (target.textContent !== words) target.textContent = words;
}

// Rows of [name, value, note, colour of a swatch, class]; of the class "below" the note has a line of its own.
export function list(target, rows) {
  target.replaceChildren(...rows.flatMap(([name, value, note, colour, kind]) => {
    const term = element('dt', name);
    if (colour) {
      const swatch = element('span', '', [], 'swatch');
      swatch.style.setProperty('--c', `var(${colour})`);
      term.prepend(swatch);
    }
    const figure = element('dd', value, [], kind);
    if (note && kind === 'below') return [term, figure, element('dd', note, [], 'note')];
    if (note) figure.append(' ', element('small', note));
    return [term, figure];
  }));
}

export function onChoice(name, take) {
  for (const input of document.querySelectorAll(`[name=${name}]`)) {
    input.addEventListener('change', () => take(input.value));
  }
}
