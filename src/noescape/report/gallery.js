// The gallery: cards are in the page already; this judges them again, orders them and hides the rest.

const PAGE = 24;

function outcomeOf(row) {
  const truth = truthOf(row), ng = isNg(scores[row]);
  if (truth === '?') return '';
  if (truth === '1') return ng ? 'caught' : 'missed';
  return ng ? 'false call' : 'passed';
}

function paintVerdict(badge, ng) {
  badge.textContent = ng ? 'NG' : 'OK';
  badge.className = `verdict ${ng ? 'ng' : 'ok'}`;
}

function marginText(row) {
  const margin = scores[row] - state.threshold;
  return (margin > 0 ? '+' : '') + scoreText(margin);
}

function gallery(place) {
  const tabs = [...document.querySelectorAll('[data-tab]')];
  const more = document.querySelector('[data-action="more"]');
  const note = document.getElementById('gallery-count');
  const filters = {
    verdict: document.getElementById('filter-verdict'), type: document.getElementById('filter-type'),
    name: document.getElementById('filter-name'),
  };
  const cards = [...place.children].map((node) => ({
    node, row: Number(node.dataset.row), type: node.dataset.type, review: 'review' in node.dataset,
    name: node.querySelector('.name').textContent, verdict: node.querySelector('.verdict'),
    outcome: node.querySelector('.outcome'), margin: node.querySelector('.margin'),
  }));
  const view = {tab: '', shown: PAGE, order: [], timer: 0};

  const byScore = (a, b) => scores[b.row] - scores[a.row] || a.row - b.row;
  const byMargin = (a, b) => Math.abs(scores[a.row] - state.threshold) - Math.abs(scores[b.row] - state.threshold) || a.row - b.row;
  const sets = {
    misses: {pick: (c) => outcomeOf(c.row) === 'missed', sort: (a, b) => -byScore(a, b), all: () => judge(state.threshold).fn, none: 'No defect is missed at this threshold.'},
    calls: {pick: (c) => outcomeOf(c.row) === 'false call', sort: byScore, all: () => judge(state.threshold).fp, none: 'No good part is stopped at this threshold.'},
    near: {pick: () => true, sort: (a, b) => b.review - a.review || byMargin(a, b), all: () => scores.length, none: ''},
    all: {pick: () => true, sort: byScore, all: () => scores.length, none: ''},
  };

  function judgeCards() {
    for (const card of cards) {
      const ng = isNg(scores[card.row]), outcome = outcomeOf(card.row);
      if (card.ng !== ng) {
        card.ng = ng;
        paintVerdict(card.verdict, ng);
        card.outcome.textContent = outcome;
        card.node.dataset.outcome = outcome;
      }
      card.margin.textContent = marginText(card.row);
    }
    for (const tab of tabs) tab.querySelector('.n').textContent = tab.dataset.tab === 'near' ? '' : count(sets[tab.dataset.tab].all());
  }

  function arrange() {
    const set = sets[view.tab], text = filters.name.value.trim().toLowerCase();
    const type = filters.type ? filters.type.value : '', verdict = filters.verdict.value;
    const inTab = cards.filter(set.pick);
    view.order = inTab.filter((c) => (!verdict || (verdict === 'NG') === c.ng) && (!type || c.type === type)
      && (!text || c.name.toLowerCase().includes(text))).sort(set.sort);
    for (const card of cards) card.node.hidden = true;
    view.order.forEach((card, i) => {
      card.node.hidden = i >= view.shown;
      place.append(card.node);
    });
    const shown = Math.min(view.shown, view.order.length), left = view.order.length - shown, all = set.all();
    more.hidden = left === 0;
    more.textContent = `Show ${Math.min(PAGE * 2, left)} more of ${count(left)}`;
    const filtered = view.order.length < inTab.length;
    note.textContent = !inTab.length && set.none && !all ? set.none
      : `Showing ${count(shown)} of ${count(inTab.length)}${filtered ? `; ${count(view.order.length)} match the filter` : ''}`
        + (all > inTab.length ? ` (${count(all)} in the run; the others have no picture here)` : '');
    place.dataset.arranged = String(state.threshold);
  }

  function select(name, focus) {
    view.tab = name;
    view.shown = PAGE;
    for (const tab of tabs) {
      const on = tab.dataset.tab === name;
      tab.setAttribute('aria-selected', String(on));
      tab.tabIndex = on ? 0 : -1;
      if (on && focus) tab.focus();
    }
    arrange();
  }

  tabs.forEach((tab, i) => {
    tab.addEventListener('click', () => select(tab.dataset.tab));
    tab.addEventListener('keydown', (event) => {
      const to = {ArrowRight: i + 1, ArrowLeft: i - 1, Home: 0, End: tabs.length - 1}[event.key];
      if (to === undefined) return;
      event.preventDefault();
      select(tabs[(to + tabs.length) % tabs.length].dataset.tab, true);
    });
  });
  for (const filter of Object.values(filters)) filter?.addEventListener('input', () => { view.shown = PAGE; arrange(); });
  document.getElementById('view').addEventListener('change', (event) => { place.dataset.view = event.target.value; });
  more.addEventListener('click', () => { view.shown += PAGE * 2; arrange(); });

  judgeCards();
  select(tabs.map((t) => t.dataset.tab).find((name) => sets[name].none && cards.some(sets[name].pick)) || 'all');
  state.listeners.push(() => {
    judgeCards();
    // Moving cards under a moving line is restless and slow: order them when it rests.
    clearTimeout(view.timer);
    view.timer = setTimeout(arrange, 150);
  });
  viewer(place, () => view.order);
}
