// ROC with the operating point, and the Pareto of missed defect types; both follow the threshold.

function rocChart(place, logBox, words) {
  const points = rocPoints();
  const nGood = sorted['0'].length;
  let view;

  function draw(width) {
    const size = Math.min(width, 540), height = Math.round(size * 0.74);
    const box = {left: 46, right: size - 14, top: 12, bottom: height - 40};
    const log = logBox.checked;
    // On a log axis "none" gets a place of its own, left of one false alarm.
    const floor = 0.5 / nGood;
    const x = (v) => log
      ? box.left + (Math.log10(Math.max(v, floor)) - Math.log10(floor)) / -Math.log10(floor) * (box.right - box.left)
      : box.left + v * (box.right - box.left);
    const y = (v) => box.bottom - v * (box.bottom - box.top);
    const svg = el('svg', {viewBox: `0 0 ${size} ${height}`, role: 'img', style: `max-width:${size}px`});
    const marks = log ? [{value: 0, text: '0'}] : [0, 0.25, 0.5, 0.75, 1].map((v) => ({value: v, text: `${v * 100}%`}));
    if (log) {
      for (let decade = 10 ** Math.ceil(Math.log10(1 / nGood) - 1e-9); decade <= 1.0001; decade *= 10) {
        marks.push({value: decade, text: `${Number((decade * 100).toPrecision(6))}%`});
      }
    }
    for (const mark of marks) {
      svg.append(el('line', {class: 'grid', x1: x(mark.value), x2: x(mark.value), y1: box.top, y2: box.bottom}),
        el('text', {x: x(mark.value), y: box.bottom + 17, 'text-anchor': 'middle'}, mark.text));
    }
    for (const v of [0, 0.25, 0.5, 0.75, 1]) {
      svg.append(el('line', {class: 'grid', x1: box.left, x2: box.right, y1: y(v), y2: y(v)}),
        el('text', {x: box.left - 6, y: y(v) + 4, 'text-anchor': 'end'}, `${v * 100}%`));
    }
    svg.append(el('text', {x: (box.left + box.right) / 2, y: height - 4, 'text-anchor': 'middle'}, 'false alarm rate'),
      el('text', {x: box.left + 6, y: box.top + 14, class: 'strong'}, 'recall'));
    let chance = '';
    for (let i = 0; i <= 60; i += 1) {
      const v = log ? floor ** (1 - i / 60) : i / 60;
      chance += `${i ? 'L' : 'M'}${x(v)} ${y(v)}`;
    }
    svg.append(el('path', {class: 'chance', d: chance}, el('title', {}, 'chance')));
    let path = '', lastX = NaN, lastY = NaN;
    for (const [far, recall] of points) {
      const px = x(far), py = y(recall);
      if (path && Math.abs(px - lastX) < 0.2 && Math.abs(py - lastY) < 0.2 && far < 1) continue;
      path += path ? `H${px.toFixed(2)}V${py.toFixed(2)}` : `M${px.toFixed(2)} ${py.toFixed(2)}`;
      [lastX, lastY] = [px, py];
    }
    const dot = el('circle', {class: 'dot', r: 7});
    svg.append(el('path', {class: 'curve', d: path}), dot);
    place.replaceChildren(svg);
    view = {svg, dot, x, y};
    move();
  }

  function move() {
    const now = judge(state.threshold);
    const far = now.fp / (now.fp + now.tn), recall = now.tp / (now.tp + now.fn);
    view.dot.setAttribute('cx', view.x(far));
    view.dot.setAttribute('cy', view.y(recall));
    const text = `recall ${percent(recall)} at a false alarm rate of ${percent(far)}`;
    words.textContent = text;
    view.svg.setAttribute('aria-label', `ROC curve. Operating point: ${text}.`);
  }

  redrawOnResize(place, draw);
  logBox.addEventListener('change', () => draw(Math.round(place.clientWidth)));
  state.listeners.push(move);
}

function paretoChart(place) {
  let width = 320;

  function draw() {
    const kinds = missedByType(state.threshold), total = kinds.reduce((sum, k) => sum + k.missed, 0);
    const shown = kinds.slice(0, 14), row = 42, height = shown.length * row + 6;
    const most = Math.max(...shown.map((k) => k.n));
    const svg = el('svg', {viewBox: `0 0 ${width} ${height}`, role: 'img'}, hatchPattern('hatch-p'));
    let running = 0;
    const words = [];
    shown.forEach((kind, i) => {
      const y = i * row + 15, full = Math.max(4, kind.n / most * width);
      running += kind.missed;
      const share = total && kind.missed ? `, ${percent(running / total)} of all misses so far` : '';
      const text = `${count(kind.missed)} of ${count(kind.n)} missed`;
      words.push(`${kind.name}: ${text}`);
      const room = Math.max(8, Math.floor((width - 130) / 8));
      const name = [...kind.name];
      svg.append(
        el('text', {class: 'strong', x: 0, y: y - 3}, name.length > room ? `${name.slice(0, room - 1).join('')}…` : kind.name),
        el('text', {x: width, y: y - 3, 'text-anchor': 'end'}, text),
        el('rect', {class: 'track', x: 0, y: y + 3, width: full, height: 13, rx: 3}),
        el('rect', {class: 'bar-bad-ground', style: 'fill:url(#hatch-p)', x: 0.5, y: y + 3.5, width: Math.max(0, full * kind.missed / kind.n - 1), height: 12, rx: 3,
          ...(kind.missed ? {} : {display: 'none'})}, el('title', {}, `${kind.name}: ${text}${share}`)));
    });
    svg.setAttribute('aria-label', `Missed defects by type. ${words.join('; ')}.`);
    const note = document.createElement('p');
    note.className = 'quiet';
    const few = kinds.filter((k) => k.missed);
    note.textContent = total === 0 ? 'No defect is missed at this threshold.'
      : `${few[0].name} makes up ${percent(few[0].missed / total)} of ${count(total)} ${total === 1 ? 'miss' : 'misses'}. Bar: all of the type; hatched: missed.`
        + (kinds.length > shown.length ? ` ${kinds.length - shown.length} more types are in the table.` : '');
    place.replaceChildren(svg, note);
  }

  redrawOnResize(place, (w) => { width = w; draw(); });
  state.listeners.push(draw);
}
