// The histogram of all scores: good above the axis, defective below, and the line that judges.

/** The score axis: all scores, except that far outliers are gathered at the ends so that the rest stays readable. */
function scoreDomain() {
  const values = Float64Array.from([...scores, ...report.training, runThreshold]).sort();
  let low = values[0], high = values[values.length - 1];
  const at = (share) => values[Math.min(values.length - 1, Math.floor(share * values.length))];
  const q1 = at(0.02), q9 = at(0.98), core = q9 - q1;
  if (values.length > 50 && core > 0) {
    low = Math.min(Math.max(low, q1 - 2 * core), runThreshold);
    high = Math.max(Math.min(high, q9 + 2 * core), runThreshold);
  }
  const pad = (high - low) * 0.04 || Math.max(Math.abs(low) * 0.05, 0.5);
  return {low: low - pad, high: high + pad};
}

function histogram(place) {
  const domain = scoreDomain();
  const hasBad = sorted['1'].length > 0, hasTop = sorted['0'].length + sorted['?'].length + report.training.length > 0;
  let view;

  function bin(values, n) {
    const counts = new Array(n).fill(0);
    const scale = n / (domain.high - domain.low);
    for (const v of values) counts[Math.min(n - 1, Math.max(0, Math.floor((v - domain.low) * scale)))] += 1;
    return counts;
  }

  function draw(width) {
    const height = width < 500 ? 290 : 350;
    const box = {left: 40, right: width - 12, top: 34, bottom: height - 40};
    const n = Math.max(20, Math.min(64, Math.floor((box.right - box.left) / 15)));
    const groups = {'0': bin(sorted['0'], n), '1': bin(sorted['1'], n), '?': bin(sorted['?'], n)};
    const training = bin(report.training, n);
    const mostUp = Math.max(...groups['0'], ...groups['?'], ...training), mostDown = Math.max(...groups['1']);
    // One image must be seen: the log scale starts at one half. Both sides share one scale.
    const decades = (c) => c > 0 ? Math.log10(c / 0.5) : 0;
    const up = hasTop ? decades(mostUp * 1.2) : 0, down = hasBad ? decades(mostDown * 1.3) : 0;
    const unit = (box.bottom - box.top) / (up + down), axis = box.top + up * unit;
    const tall = (c) => decades(c) * unit;
    const x = (v) => box.left + (v - domain.low) / (domain.high - domain.low) * (box.right - box.left);
    const slot = (box.right - box.left) / n;
    const svg = el('svg', {viewBox: `0 0 ${width} ${height}`, role: 'group', 'aria-label': summary()}, hatchPattern('hatch-h'));

    if (report.band) {
      const from = Math.max(box.left, x(report.band[0])), to = Math.min(box.right, x(report.band[1]));
      if (to > from) svg.append(el('rect', {class: 'band', x: from, y: box.top, width: to - from, height: box.bottom - box.top}, el('title', {}, 'review band of the run')));
    }
    for (const [way, most] of [[-1, mostUp], [1, mostDown]]) {
      for (let decade = 1; decade <= most; decade *= 10) {
        for (const level of unit > 70 ? [decade, 2 * decade, 5 * decade] : [decade]) {
          if (level > most) break;
          const y = axis + way * tall(level);
          svg.append(el('line', {class: 'grid', x1: box.left, x2: box.right, y1: y, y2: y}),
            el('text', {x: box.left - 6, y: y + 4, 'text-anchor': 'end'}, count(level)));
        }
      }
    }
    const edge = (i) => domain.low + i * (domain.high - domain.low) / n;
    const both = sorted['0'].length > 0 && sorted['?'].length > 0;
    for (let i = 0; i < n; i += 1) {
      const words = `${scoreText(edge(i))} to ${scoreText(edge(i + 1))}: ` + [['0', 'good'], ['1', 'defective'], ['?', 'unknown']]
        .filter(([key]) => groups[key][i]).map(([key, name]) => `${count(groups[key][i])} ${name}`).join(', ');
      for (const key of ['0', '?', '1']) {
        const h = tall(groups[key][i]);
        if (!h) continue;
        const half = both && key !== '1' ? 2 : 1;
        const left = box.left + i * slot + (both && key === '?' ? slot / 2 : 0);
        svg.append(el('rect', {
          class: key === '0' ? 'bar-good' : key === '?' ? 'bar-none' : 'bar-bad-ground', x: left + 0.75, y: key === '1' ? axis : axis - h,
          width: Math.max(1, slot / half - 1.5), height: h, ...(key === '1' ? {style: 'fill:url(#hatch-h)'} : {}),
        }, el('title', {}, words)));
      }
    }
    if (report.training.length) {
      let d = `M${box.left} ${axis}`;
      training.forEach((c, i) => { d += `V${axis - tall(c)}H${box.left + (i + 1) * slot}`; });
      svg.append(el('path', {class: 'outline-halo', d: `${d}V${axis}`}), el('path', {class: 'outline', d: `${d}V${axis}`}));
    }
    svg.append(el('line', {class: 'axis', x1: box.left, x2: box.right, y1: axis, y2: axis}));
    for (const tick of ticks(domain.low, domain.high, width / 90)) {
      const at = x(tick.value);
      svg.append(el('line', {class: 'axis', x1: at, x2: at, y1: box.bottom, y2: box.bottom + 5}),
        el('text', {x: at, y: box.bottom + 19, 'text-anchor': 'middle'}, tick.text));
    }
    svg.append(el('text', {x: (box.left + box.right) / 2, y: height - 3, 'text-anchor': 'middle'}, 'anomaly score'));
    beyond(svg, box);
    const runX = x(runThreshold);
    svg.append(el('line', {class: 'run-line', x1: runX, x2: runX, y1: box.top, y2: box.bottom}, el('title', {}, `threshold of the run, ${scoreText(runThreshold)}`)));

    const plot = el('rect', {class: 'plot', x: box.left, y: 0, width: box.right - box.left, height: box.bottom});
    // The plot lies under the bars' tooltips, the handle over everything.
    svg.insertBefore(plot, svg.childNodes[1]);
    const line = el('line', {class: 'threshold-line', y1: 24, y2: box.bottom});
    const pill = el('rect', {class: 'pill', y: 2, height: 24, rx: 6});
    const label = el('text', {class: 'pill-text', y: 19, 'text-anchor': 'middle'});
    const ok = el('text', {class: 'strong', y: 19, 'text-anchor': 'end'}, '← OK');
    const ng = el('text', {class: 'strong', y: 19}, 'NG →');
    const grip = el('rect', {y: 0, width: 44, height: box.bottom, fill: 'transparent'});
    const handle = el('g', {
      class: 'handle', id: 'threshold-handle', role: 'slider', tabindex: 0, 'aria-label': 'Image threshold',
      'aria-orientation': 'horizontal', 'aria-describedby': 'slider-help',
      'aria-valuemin': domain.low, 'aria-valuemax': domain.high,
    }, line, pill, label, grip);
    svg.append(ok, ng, handle);
    const hadFocus = place.contains(document.activeElement);
    place.replaceChildren(svg);
    view = {svg, handle, line, pill, label, ok, ng, grip, x, box, width};
    listen();
    move();
    if (hadFocus) handle.focus();
  }

  function beyond(svg, box) {
    const under = allSorted.length - countAbove(allSorted, domain.low - 1e-12), over = countAbove(allSorted, domain.high);
    if (over) svg.append(el('text', {class: 'strong', x: box.right, y: box.top + 14, 'text-anchor': 'end'}, `${count(over)} further right, up to ${scoreText(allSorted[allSorted.length - 1])}`));
    if (under) svg.append(el('text', {class: 'strong', x: box.left, y: box.top + 14}, `${count(under)} further left, down to ${scoreText(allSorted[0])}`));
  }

  function summary() {
    const parts = [['0', 'good'], ['1', 'defective'], ['?', 'images of unknown truth']].filter(([k]) => sorted[k].length)
      .map(([k, name]) => `${count(sorted[k].length)} ${name}, scores ${scoreText(sorted[k][0])} to ${scoreText(sorted[k][sorted[k].length - 1])}`);
    return `Histogram of anomaly scores. ${parts.join('; ')}.`;
  }

  function move() {
    const {handle, line, pill, label, ok, ng, grip, x, box} = view;
    const t = state.threshold, at = Math.min(box.right, Math.max(box.left, x(t)));
    const text = thresholdText(t), half = Math.max(26, text.length * 4 + 10);
    const centre = Math.min(box.right + 8 - half, Math.max(box.left - 30 + half, at));
    for (const key of ['x1', 'x2']) line.setAttribute(key, at);
    pill.setAttribute('x', centre - half);
    pill.setAttribute('width', 2 * half);
    label.setAttribute('x', centre);
    label.textContent = text;
    grip.setAttribute('x', at - 22);
    ok.setAttribute('x', centre - half - 8);
    ng.setAttribute('x', centre + half + 8);
    ok.style.display = centre - half < 52 ? 'none' : '';
    ng.style.display = centre + half > box.right - 44 ? 'none' : '';
    handle.setAttribute('aria-valuenow', t);
    const now = judge(t);
    handle.setAttribute('aria-valuetext', `${text}: ${now.ng} NG, ${now.ok} OK`);
  }

  function listen() {
    const {svg, handle, box, width} = view;
    let grabbed = null;
    const valueAt = (event) => {
      const frame = svg.getBoundingClientRect();
      const px = (event.clientX - frame.left) * width / frame.width - (grabbed || 0);
      const share = Math.min(1, Math.max(0, (px - box.left) / (box.right - box.left)));
      return Number((domain.low + share * (domain.high - domain.low)).toFixed(report.decimals));
    };
    svg.addEventListener('pointerdown', (event) => {
      if (event.button !== 0) return;
      const frame = svg.getBoundingClientRect();
      const px = (event.clientX - frame.left) * width / frame.width;
      // Taken by the handle the line keeps its distance to the finger; elsewhere it jumps there.
      grabbed = handle.contains(event.target) ? px - Number(view.line.getAttribute('x1')) : 0;
      svg.setPointerCapture(event.pointerId);
      event.preventDefault();
      handle.focus({preventScroll: true});
      // A finger that lands beside the handle may only want to scroll: it counts when it moves sideways or taps.
      if (!handle.contains(event.target) && event.pointerType !== 'touch') setThreshold(valueAt(event));
    });
    svg.addEventListener('pointerup', (event) => {
      if (grabbed !== null && !handle.contains(event.target)) setThreshold(valueAt(event));
    });
    svg.addEventListener('pointermove', (event) => { if (grabbed !== null) setThreshold(valueAt(event)); });
    for (const end of ['pointerup', 'pointercancel']) svg.addEventListener(end, () => { grabbed = null; });
    handle.addEventListener('keydown', (event) => {
      const coarse = Math.max(step, Math.round((domain.high - domain.low) / 200 / step) * step);
      const size = event.shiftKey ? step : coarse;
      const moves = {ArrowRight: size, ArrowUp: size, ArrowLeft: -size, ArrowDown: -size, PageUp: 10 * coarse, PageDown: -10 * coarse};
      let to;
      if (event.key in moves) to = state.threshold + moves[event.key];
      else if (event.key === 'Home') to = domain.low;
      else if (event.key === 'End') to = domain.high;
      else return;
      event.preventDefault();
      setThreshold(Number(Math.min(domain.high, Math.max(domain.low, to)).toFixed(report.decimals)));
    });
  }

  redrawOnResize(place, draw);
  state.listeners.push(move);
}
