// A closer look at one image, in a dialog that the keyboard can walk through.

function viewer(place, order) {
  const dialog = document.getElementById('viewer');
  const part = (name) => document.getElementById(`viewer-${name}`);
  let current = null;

  function fillShot(target, source, large) {
    const img = source.querySelector('img');
    if (!img) {
      target.replaceChildren(source.firstElementChild.cloneNode(true));
      return;
    }
    const copy = new Image();
    copy.src = large || img.src;
    copy.alt = img.alt;
    target.replaceChildren(copy);
  }

  function show(card) {
    current = card;
    const {node, row} = card, outcome = outcomeOf(row), large = report.large[row] || [null, null];
    part('name').textContent = card.name;
    paintVerdict(part('verdict'), isNg(scores[row]));
    part('outcome').textContent = outcome;
    dialog.dataset.outcome = outcome;
    fillShot(part('original'), node.querySelector('.original'), large[0]);
    fillShot(part('heat'), node.querySelector('.heat'), large[1]);
    const numbers = [['score', scoreText(scores[row])], ['threshold', thresholdText(state.threshold)], ['margin', marginText(row)]];
    part('numbers').replaceChildren(...numbers.map(([label, value]) => {
      const span = document.createElement('span'), bold = document.createElement('b');
      bold.textContent = value;
      span.append(`${label} `, bold);
      return span;
    }));
    const flags = node.querySelector('.flags');
    part('truth').textContent = [node.querySelector('.truth').textContent, flags && flags.textContent].filter(Boolean).join(' · ');
    fillDefects(report.defects[row] || []);
    const cards = order(), at = cards.indexOf(card);
    part('place').textContent = at < 0 ? '' : `${count(at + 1)} of ${count(cards.length)}`;
    dialog.querySelector('[data-action="previous"]').disabled = at <= 0;
    dialog.querySelector('[data-action="next"]').disabled = at < 0 || at >= cards.length - 1;
  }

  function fillDefects(rows) {
    part('defects').hidden = rows.length === 0;
    part('defects').querySelector('tbody').replaceChildren(...rows.map((cells) => {
      const line = document.createElement('tr');
      line.append(...cells.map((text) => {
        const cell = document.createElement('td');
        cell.textContent = text;
        return cell;
      }));
      return line;
    }));
  }

  function walk(by) {
    const cards = order(), to = cards[cards.indexOf(current) + by];
    if (to) show(to);
  }

  place.addEventListener('click', (event) => {
    const button = event.target.closest('.shots');
    if (!button) return;
    const card = order().find((c) => c.node.contains(button));
    if (!card) return;
    show(card);
    dialog.showModal();
  });
  dialog.addEventListener('click', (event) => {
    const action = event.target.closest('[data-action]')?.dataset.action;
    // A click on the dialog itself, outside of its content, lands on the backdrop.
    if (event.target === dialog) {
      const frame = dialog.getBoundingClientRect();
      const inside = event.clientX >= frame.left && event.clientX <= frame.right && event.clientY >= frame.top && event.clientY <= frame.bottom;
      if (!inside) dialog.close();
    }
    if (action === 'close') dialog.close();
    if (action === 'previous') walk(-1);
    if (action === 'next') walk(1);
  });
  dialog.addEventListener('keydown', (event) => {
    if (event.key === 'ArrowLeft') walk(-1);
    if (event.key === 'ArrowRight') walk(1);
  });
  dialog.addEventListener('close', () => {
    if (current && !current.node.hidden) current.node.querySelector('.shots').focus();
  });
}
