// Wire the parts that this page has; a run without images, or without truth, has fewer of them.

document.documentElement.classList.add('js');

function rateWords(rate) {
  if (rate.n === 0) return ['–', 'no such part'];
  return [percent(rate.events / rate.n), `${count(rate.events)} of ${count(rate.n)}\nat most ${percent(upperBound(rate.events, rate.n), Math.ceil)}`];
}

function showLive() {
  const now = judge(state.threshold), changed = state.threshold !== runThreshold;
  const texts = {threshold: thresholdText(state.threshold)};
  for (const key of ['tp', 'fp', 'tn', 'fn', 'unknownNg', 'ng', 'ok']) texts[key] = count(now[key]);
  for (const key of ['false_alarm_rate', 'miss_rate', 'escape_rate']) [texts[key], texts[`${key}_detail`]] = rateWords(now[key]);
  const known = now.tp + now.fp + now.tn + now.fn > 0;
  texts.summary = known ? `${count(now.fn)} missed, ${count(now.fp)} false calls` : `${count(now.ng)} NG, ${count(now.ok)} OK`;
  for (const node of document.querySelectorAll('[data-live]')) {
    if (node.dataset.live in texts) node.textContent = texts[node.dataset.live];
  }
  const input = document.getElementById('threshold-input');
  if (input && document.activeElement !== input) input.value = exactText(state.threshold);
  const command = document.getElementById('tune-command');
  if (command) command.textContent = `noescape tune ${report.tuneRun} --image-threshold ${exactText(state.threshold)}`;
  document.getElementById('whatif').hidden = !changed;
  document.body.classList.toggle('trial', changed);
  for (const button of document.querySelectorAll('.controls [data-action="reset"]')) button.disabled = !changed;
  clearTimeout(showLive.timer);
  showLive.timer = setTimeout(() => {
    if (changed || showLive.spoken) {
      document.getElementById('announcer').textContent = `Threshold ${texts.threshold}: ${texts.summary}.`;
      showLive.spoken = true;
    }
  }, 600);
}

async function copyText(button) {
  const source = document.getElementById(button.dataset.copy);
  let done = true;
  try {
    await navigator.clipboard.writeText(source.textContent);
  } catch {
    // Without clipboard rights the text is selected, ready for the copy key.
    getSelection().selectAllChildren(source);
    done = false;
  }
  button.textContent = done ? 'Copied' : 'Press Ctrl+C';
  setTimeout(() => { button.textContent = 'Copy'; }, 2000);
}

document.addEventListener('click', (event) => {
  const button = event.target.closest('[data-action]');
  if (!button) return;
  const action = button.dataset.action;
  if (action === 'reset') setThreshold(runThreshold);
  if (action === 'catch-all' && sorted['1'].length) setThreshold(catchAll());
  if (action === 'no-false-call' && sorted['0'].length) setThreshold(noFalseCall());
  if (action === 'try') setThreshold(Number(button.dataset.threshold));
  if (action === 'copy') copyText(button);
});

if (scores.length) {
  const input = document.getElementById('threshold-input');
  input.step = String(step);
  input.addEventListener('input', () => {
    if (input.value !== '') setThreshold(input.valueAsNumber);
  });
  input.addEventListener('blur', () => { input.value = exactText(state.threshold); });
  histogram(document.getElementById('histogram'));
  const roc = document.getElementById('roc-chart');
  if (roc) rocChart(roc, document.getElementById('roc-log'), document.querySelector('[data-live="operating"]'));
  const pareto = document.getElementById('pareto');
  if (pareto) paretoChart(pareto);
  gallery(document.getElementById('cards'));
  state.listeners.push(showLive);
  showLive();
}
