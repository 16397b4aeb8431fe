// The one rule of the page, NG if score > threshold, over every image of the run.

const report = JSON.parse(document.getElementById('report-data').textContent);
const scores = Float64Array.from(report.scores);
const runThreshold = report.threshold;
const state = {threshold: runThreshold, listeners: []};

const truthOf = (row) => report.truth[row];
const isNg = (score) => score > state.threshold;

const sorted = {'0': [], '1': [], '?': []};
scores.forEach((score, row) => sorted[truthOf(row)].push(score));
for (const key of Object.keys(sorted)) sorted[key] = Float64Array.from(sorted[key]).sort();
const allSorted = Float64Array.from(scores).sort();

/** How many of the ascending `values` are greater than `limit`. */
function countAbove(values, limit) {
  let low = 0, high = values.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (values[middle] > limit) high = middle;
    else low = middle + 1;
  }
  return values.length - low;
}

/** Counts and rates at `threshold`; a rate is {events, n}. */
function judge(threshold) {
  const fp = countAbove(sorted['0'], threshold), tp = countAbove(sorted['1'], threshold);
  const tn = sorted['0'].length - fp, fn = sorted['1'].length - tp;
  const unknownNg = countAbove(sorted['?'], threshold);
  const ng = fp + tp + unknownNg;
  return {
    tp, fp, tn, fn, unknownNg, ng, ok: scores.length - ng,
    false_alarm_rate: {events: fp, n: fp + tn},
    miss_rate: {events: fn, n: tp + fn},
    escape_rate: {events: fn, n: tn + fn},
  };
}

/** Missed and all defects per type at `threshold`, most missed first. */
function missedByType(threshold) {
  const kinds = report.types.map((name) => ({name, missed: 0, n: 0}));
  report.typeOf.forEach((kind, row) => {
    if (kind < 0) return;
    kinds[kind].n += 1;
    if (!(scores[row] > threshold)) kinds[kind].missed += 1;
  });
  return kinds.sort((a, b) => b.missed - a.missed || b.n - a.n || (a.name < b.name ? -1 : 1));
}

/** ROC steps from the strictest threshold down: [false alarm rate, recall] pairs. */
function rocPoints() {
  const good = sorted['0'], bad = sorted['1'], points = [[0, 0]];
  let g = good.length, b = bad.length;
  while (g > 0 || b > 0) {
    const at = Math.max(g > 0 ? good[g - 1] : -Infinity, b > 0 ? bad[b - 1] : -Infinity);
    while (g > 0 && good[g - 1] === at) g -= 1;
    while (b > 0 && bad[b - 1] === at) b -= 1;
    points.push([(good.length - g) / good.length, (bad.length - b) / bad.length]);
  }
  return points;
}

/** The shortest decimal t with low <= t < high. */
function tidyBetween(low, high) {
  const middle = low + (high - low) / 2;
  for (let digits = 0; digits <= 15; digits += 1) {
    const candidate = Number(middle.toFixed(digits));
    if (candidate >= low && candidate < high) return candidate;
  }
  return low;
}

/** The highest tidy threshold that misses no defect. */
function catchAll() {
  const least = sorted['1'][0];
  const below = allSorted.length - countAbove(allSorted, least);
  let first = below;
  while (first > 0 && allSorted[first - 1] >= least) first -= 1;
  return tidyBetween(first > 0 ? allSorted[first - 1] : least - step, least);
}

/** The lowest tidy threshold that stops no good part. */
function noFalseCall() {
  const most = sorted['0'][sorted['0'].length - 1];
  const above = countAbove(allSorted, most);
  return tidyBetween(most, above ? allSorted[allSorted.length - above] : most + step);
}

const step = 10 ** -report.decimals;

function setThreshold(value) {
  if (!Number.isFinite(value) || value === state.threshold) return;
  state.threshold = value;
  if (!state.pending) {
    state.pending = requestAnimationFrame(() => {
      state.pending = 0;
      for (const listener of state.listeners) listener();
    });
  }
}

/** A score as the server prints it. */
function scoreText(value) {
  let text = value.toFixed(report.decimals);
  if (value !== 0 && Number(text) === 0) text = value.toExponential(1).replace(/e([+-])(\d)$/, 'e$10$2');
  return text.startsWith('-') ? `−${text.slice(1)}` : text;
}

/** The threshold in full: what is typed into a command must judge as the page does. */
const exactText = (value) => String(value);

function thresholdText(value) {
  return Number(value.toFixed(report.decimals)) === value || value === runThreshold ? scoreText(value) : exactText(value);
}

const count = (n) => n.toLocaleString('en-US');
