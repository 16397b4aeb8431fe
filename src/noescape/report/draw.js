// Small tools for SVG drawn at the true width of its place, so that text stays readable on a phone.

const SVG = 'http://www.w3.org/2000/svg';

/** An SVG element with attributes and children (nodes or text). */
function el(name, attributes = {}, ...children) {
  const node = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) node.setAttribute(key, value);
  node.append(...children);
  return node;
}

/** Round steps for an axis from `low` to `high`, about `count` of them. */
function ticks(low, high, count_) {
  const raw = (high - low) / Math.max(1, count_);
  const power = 10 ** Math.floor(Math.log10(raw));
  const size = [1, 2, 5, 10].find((s) => s * power >= raw) * power;
  const digits = Math.max(0, -Math.floor(Math.log10(size) + 1e-9));
  const out = [];
  for (let i = Math.ceil(low / size - 1e-9); i * size <= high + size * 1e-9; i += 1) {
    const value = i * size;
    out.push({value, text: value.toFixed(Math.min(digits, 12)).replace('-', '−')});
  }
  return out;
}

/** Call `draw(width)` now and whenever the width of `place` changes. */
function redrawOnResize(place, draw) {
  let last = 0;
  new ResizeObserver(() => {
    const width = Math.round(place.clientWidth);
    if (width > 0 && width !== last) {
      last = width;
      draw(width);
    }
  }).observe(place);
  last = Math.round(place.clientWidth) || 320;
  draw(last);
}

/** Straight lines of hatching in the colour of defects; patterns need an id of their own per chart. */
function hatchPattern(id) {
  return el('defs', {}, el('pattern', {id, width: 6, height: 6, patternUnits: 'userSpaceOnUse', patternTransform: 'rotate(45)'},
    el('rect', {class: 'bar-bad-ground', width: 6, height: 6, style: 'stroke:none'}),
    el('path', {class: 'hatch', d: 'M1 0V6'})));
}
