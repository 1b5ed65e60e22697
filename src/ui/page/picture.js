// SPDX-License-Identifier: Apache-2.0
// The page of mica_picture_html: draws the values between boxes that are in sight.
(() => {
  const edges = JSON.parse(document.getElementById('edges').textContent);
  const make = (name, attributes, parent) => {
    const e = document.createElementNS('http://www.w3.org/2000/svg', name);
    for (const key in attributes) e.setAttribute(key, attributes[key]);
    parent.appendChild(e);
    return e;
  };
  const box = i => document.getElementById('i' + i);
  const groups = new Map();
  for (const [from, to] of edges) {
    const a = box(from), b = box(to);
    if (!a || !b) continue;
    const rows = a.parentElement.parentElement;
    if (!groups.has(rows)) groups.set(rows, []);
    groups.get(rows).push({from, to, a, b, below: b.parentElement === a.parentElement.nextElementSibling});
  }
  for (const [rows, list] of groups) {
    const lanes = Math.min(list.filter(e => !e.below).length, 10);
    if (lanes) rows.style.setProperty('--lanes', 14 + 13 * lanes + 'px');
  }
  let serial = 0;
  const draw = (rows, list) => {
    const old = rows.querySelector(':scope > svg');
    if (old) old.remove();
    if (!rows.offsetParent) return;
    const svg = make('svg', {}, rows), outer = rows.getBoundingClientRect(), id = 'tip' + serial++;
    const marker = make('marker', {id, viewBox: '0 0 8 8', refX: 6, refY: 4, markerWidth: 7, markerHeight: 7, orient: 'auto'}, make('defs', {}, svg));
    make('path', {class: 'tip', d: 'M0 0L8 4L0 8z'}, marker);
    let lane = 0;
    for (const e of list) {
      const p = e.a.getBoundingClientRect(), q = e.b.getBoundingClientRect();
      let d, back = false;
      if (e.below) {
        const x0 = p.left + p.width / 2 - outer.left, y0 = p.bottom - outer.top, x1 = q.left + q.width / 2 - outer.left, y1 = q.top - outer.top;
        const bend = (y1 - y0) / 2;
        d = `M${x0} ${y0}C${x0} ${y0 + bend} ${x1} ${y1 - bend} ${x1} ${y1 - 2}`;
      } else {
        const mine = lane++ % 10, across = outer.width - 8 - 13 * mine, k = mine % 3;
        const x0 = p.right - outer.left, y0 = p.top + Math.min(p.height / 2, 30) - outer.top + 4 * k;
        const x1 = q.right - outer.left, y1 = q.top + Math.min(q.height / 2, 20) - outer.top - 6 + 4 * k, turn = y1 > y0 ? 8 : -8;
        back = y1 <= y0;
        d = `M${x0} ${y0}H${across - 8}Q${across} ${y0} ${across} ${y0 + turn}V${y1 - turn}Q${across} ${y1} ${across - 8} ${y1}H${x1 + 2}`;
      }
      make('path', {class: 'edge' + (back ? ' back' : ''), d, 'marker-end': `url(#${id})`, 'data-from': e.from, 'data-to': e.to}, svg);
    }
  };
  const drawAll = () => groups.forEach((list, rows) => draw(rows, list));
  for (const d of document.querySelectorAll('details')) d.addEventListener('toggle', drawAll);
  // What enters and leaves the box under the pointer stands out.
  for (const [rows, list] of groups)
    for (const e of new Set(list.flatMap(x => [x.a, x.b]))) {
      const i = e.id.slice(1);
      e.addEventListener('pointerenter', () => {
        rows.classList.add('lit');
        for (const p of rows.querySelectorAll(`:scope > svg > .edge[data-from="${i}"], :scope > svg > .edge[data-to="${i}"]`)) p.classList.add('hot');
      });
      e.addEventListener('pointerleave', () => {
        rows.classList.remove('lit');
        for (const p of rows.querySelectorAll(':scope > svg > .hot')) p.classList.remove('hot');
      });
    }
  const all = open => { for (const d of document.querySelectorAll('details')) d.open = open; };
  document.getElementById('open').addEventListener('click', () => all(true));
  document.getElementById('close').addEventListener('click', () => all(false));
  const dark = matchMedia('(prefers-color-scheme: dark)');
  let theme = '';
  const paint = () => document.documentElement.setAttribute('data-theme', theme || (dark.matches ? 'dark' : 'light'));
  dark.addEventListener('change', paint);
  document.getElementById('theme').addEventListener('click', () => {
    theme = document.documentElement.getAttribute('data-theme') === 'dark' ? 'light' : 'dark';
    paint();
  });
  paint(), drawAll();
  new ResizeObserver(drawAll).observe(document.querySelector('main'));
})();
