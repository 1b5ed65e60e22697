// SPDX-License-Identifier: Apache-2.0
// The page of mica_plot_runs_html: panels drawn as SVG from the data that the page holds.
(() => {
  const get = id => document.getElementById(id);
  const svgElement = (name, attributes, parent) => {
    const e = document.createElementNS('http://www.w3.org/2000/svg', name);
    for (const key in attributes) e.setAttribute(key, attributes[key]);
    if (parent) parent.appendChild(e);
    return e;
  };
  const element = (name, attributes, parent, text) => {
    const e = document.createElement(name);
    for (const key in attributes) e.setAttribute(key, attributes[key]);
    if (text !== undefined) e.textContent = text;
    if (parent) parent.appendChild(e);
    return e;
  };
  let data = JSON.parse(get('data').textContent);
  const state = {x: data.x, log: data.log, smooth: data.smoothing, filter: '', hidden: new Set(), zoom: null, yzoom: {}, hover: null};
  let panels = [], received = Date.now(), stamp = data.stamp;

  // ---- numbers
  const short = v => {
    if (v === null || v === undefined) return 'NaN';
    const a = Math.abs(v);
    if (a !== 0 && (a >= 1e6 || a < 1e-4)) return v.toExponential(3).replace(/\.?0+e/, 'e').replace('e+', 'e');
    return String(+v.toPrecision(5));
  };
  const clock = s => s < 120 ? short(s) + ' s' : s < 7200 ? short(s / 60) + ' min' : short(s / 3600) + ' h';
  const niceStep = (span, ticks) => {
    const raw = span / ticks, power = 10 ** Math.floor(Math.log10(raw)), unit = raw / power;
    return power * (unit < 1.5 ? 1 : unit < 3 ? 2 : unit < 7 ? 5 : 10);
  };
  const ticksOf = (least, most, count) => {
    const step = niceStep(most - least, count), out = [];
    for (let i = Math.ceil(least / step - 1e-9); i * step <= most + step * 1e-9 && out.length < 40; i++) out.push(+(i * step).toPrecision(12));
    return out;
  };
  const logTicks = (least, most, height) => {
    const span = most - least, units = span > 4 ? [1] : span > 1.2 ? [1, 2, 5] : span > .3 ? [1, 1.5, 2, 3, 5, 7] : null, out = [];
    if (!units) return ticksOf(10 ** least, 10 ** most, height / 45).filter(v => v > 0);
    const stride = Math.max(1, Math.ceil(span / 8));
    for (let p = Math.floor(least); p <= Math.ceil(most); p++)
      if (p % stride === 0) for (const u of units) {
        const v = u * 10 ** p, l = Math.log10(v);
        if (l >= least - 1e-9 && l <= most + 1e-9) out.push(v);
      }
    return out;
  };

  // ---- curves
  const several = () => data.runs.length > 1;
  const kindOf = c => c.set || (c.kind === 'train' ? 'training' : 'evaluation');
  const kinds = () => [...new Set(data.runs.flatMap(r => r.curves.map(kindOf)))];
  const visible = () => {
    const all = kinds(), out = [];
    data.runs.forEach((run, r) => run.curves.forEach(c => {
      const kind = kindOf(c);
      if (state.hidden.has('run ' + run.name) || state.hidden.has('kind ' + kind)) return;
      const xs = c[state.x];
      if (!xs) return;
      out.push({name: c.name, xs, raw: c.value, train: c.kind === 'train',
        color: 'var(--c' + (several() ? r : all.indexOf(kind)) % 8 + ')', dashed: several() && c.kind !== 'train',
        label: several() ? (kind === 'training' ? run.name : run.name + ', ' + kind) : kind});
    }));
    for (const c of out) c.ys = c.train && state.smooth > 0 ? smoothed(c.raw, state.smooth) : c.raw;
    return out;
  };
  const smoothed = (values, b) => {
    let sum = 0, weight = 0;
    return values.map(v => {
      if (v === null) return null;
      sum = b * sum + (1 - b) * v, weight = b * weight + (1 - b);
      return sum / weight;
    });
  };
  const nearest = (xs, x) => {
    let low = 0, high = xs.length - 1;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (xs[middle] < x) low = middle + 1; else high = middle;
    }
    return low > 0 && x - xs[low - 1] < xs[low] - x ? low - 1 : low;
  };

  // ---- a panel
  const margin = {right: 14, top: 8, bottom: 26};
  const makePanel = name => {
    const root = element('section', {class: 'panel'}, get('panels'));
    element('h2', {}, root, name);
    const svg = svgElement('svg', {role: 'img', tabindex: 0, 'aria-label': name}, root);
    const tip = element('div', {class: 'tip', hidden: ''}, root);
    const panel = {name, root, svg, tip, drag: null};
    svg.addEventListener('pointermove', e => move(panel, e));
    svg.addEventListener('pointerleave', () => { if (!panel.drag) hoverAt(null); });
    svg.addEventListener('pointerdown', e => {
      if (e.button !== 0 || !panel.scale) return;
      panel.drag = {...placeOf(panel, e), touch: e.pointerType !== 'mouse'};
      try { svg.setPointerCapture(e.pointerId); } catch (_) {}
    });
    svg.addEventListener('pointerup', e => endDrag(panel, e));
    svg.addEventListener('pointercancel', () => { panel.drag = null; draw(panel); });
    svg.addEventListener('dblclick', resetZoom);
    svg.addEventListener('keydown', e => keys(panel, e));
    new ResizeObserver(() => draw(panel)).observe(svg);
    return panel;
  };
  const resetZoom = () => { state.zoom = null, state.yzoom = {}; drawAll(); };
  const valueAt = (panel, px) => { const s = panel.scale; return s.x0 + (px - s.left) / s.width * (s.x1 - s.x0); };
  const placeOf = (panel, e) => {
    const r = panel.svg.getBoundingClientRect();
    return {x: e.clientX - r.left, y: e.clientY - r.top};
  };
  const move = (panel, e) => {
    if (!panel.scale) return;
    const at = placeOf(panel, e);
    if (panel.drag) {
      panel.drag.x1 = at.x, panel.drag.y1 = at.y;
      draw(panel);
    } else hoverAt(valueAt(panel, at.x), panel, at.x);
  };
  const endDrag = (panel, e) => {
    const d = panel.drag, s = panel.scale, at = placeOf(panel, e);
    panel.drag = null;
    if (!d || !s) return;
    if (Math.abs(at.x - d.x) < 8) return hoverAt(valueAt(panel, at.x), panel, at.x);
    const inside = px => Math.min(Math.max(px, s.left), s.left + s.width);
    const a = valueAt(panel, inside(Math.min(d.x, at.x))), b = valueAt(panel, inside(Math.max(d.x, at.x)));
    if (b > a) state.zoom = [a, b];
    if (Math.abs(at.y - d.y) > 50 && !d.touch) {
      const high = s.valueY(Math.min(d.y, at.y)), low = s.valueY(Math.max(d.y, at.y));
      state.yzoom[panel.name] = [low, high];
    }
    drawAll();
  };
  const keys = (panel, e) => {
    const s = panel.scale;
    if (!s) return;
    const width = s.x1 - s.x0, at = state.hover ? state.hover.x : s.x0 + width / 2;
    if (e.key === 'Escape') resetZoom();
    else if (e.key === 'ArrowLeft' || e.key === 'ArrowRight') {
      const x = Math.min(Math.max(at + (e.key === 'ArrowLeft' ? -1 : 1) * width / 60, s.x0), s.x1);
      hoverAt(x, panel, s.left + (x - s.x0) / width * s.width);
    } else if (e.key === '+') { state.zoom = [at - width / 4, at + width / 4]; drawAll(); }
    else if (e.key === '-') { state.zoom = [at - width, at + width]; drawAll(); }
    else return;
    e.preventDefault();
  };
  const hoverAt = (x, panel, px) => { state.hover = x === null ? null : {x, panel, px}; panels.forEach(draw); };

  // Least and greatest of what is in sight; raw values behind smoothed ones may leave the picture.
  const extent = curves => {
    let x0 = Infinity, x1 = -Infinity, y0 = Infinity, y1 = -Infinity;
    for (const c of curves) for (const x of c.xs) if (x !== null && x < x0) x0 = x;
    for (const c of curves) for (const x of c.xs) if (x !== null && x > x1) x1 = x;
    if (x0 === x1) x0 -= .5, x1 += .5;
    if (state.zoom) [x0, x1] = state.zoom;
    for (const c of curves) for (let i = 0; i < c.xs.length; i++) {
      const x = c.xs[i], v = c.ys[i];
      if (x === null || v === null || x < x0 || x > x1 || (state.log && v <= 0)) continue;
      const y = state.log ? Math.log10(v) : v;
      if (y < y0) y0 = y;
      if (y > y1) y1 = y;
    }
    return {x0, x1, y0, y1};
  };
  const path = (xs, ys, X, Y) => {
    let out = '', pen = false;
    for (let i = 0; i < xs.length; i++) {
      const v = ys[i];
      if (xs[i] === null || v === null || (state.log && v <= 0)) { pen = false; continue; }
      out += (pen ? 'L' : 'M') + X(xs[i]).toFixed(1) + ' ' + Y(v).toFixed(1);
      pen = true;
    }
    return out;
  };
  const draw = panel => {
    const svg = panel.svg, W = svg.clientWidth, H = svg.clientHeight;
    if (!W || !H) return;
    const curves = panel.curves || [];
    svg.textContent = '';
    panel.tip.hidden = true;
    panel.scale = null;
    let {x0, x1, y0, y1} = extent(curves);
    if (!(x0 < x1) || !(y0 <= y1)) {
      svgElement('text', {x: W / 2, y: H / 2, class: 'tick', 'text-anchor': 'middle'}, svg).textContent = curves.length ? 'nothing in sight' : 'nothing chosen';
      return;
    }
    const asked = state.yzoom[panel.name];
    if (asked) [y0, y1] = asked;
    else {
      if (y1 - y0 <= 1e-9 * Math.max(Math.abs(y0), Math.abs(y1))) { const room = y0 ? Math.abs(y0) * .1 : 1; y0 -= room, y1 += room; }
      const room = (y1 - y0) * .04;
      y0 -= room, y1 += room;
    }
    const height = H - margin.top - margin.bottom;
    const levels = state.log ? logTicks(y0, y1, height) : ticksOf(y0, y1, height / 42);
    const left = 14 + 6.6 * Math.max(...levels.map(v => short(v).length), 2), width = W - left - margin.right;
    const X = x => left + (x - x0) / (x1 - x0) * width;
    const Y = v => margin.top + (y1 - (state.log ? Math.log10(v) : v)) / (y1 - y0) * height;
    panel.scale = {x0, x1, left, width, valueY: py => y1 - (py - margin.top) / height * (y1 - y0)};
    const clip = 'clip' + panels.indexOf(panel);
    svgElement('rect', {x: left - 5, y: margin.top - 3, width: width + 10, height: height + 6}, svgElement('clipPath', {id: clip}, svgElement('defs', {}, svg)));
    for (const v of levels) {
      const y = Y(v).toFixed(1);
      svgElement('path', {class: 'grid', d: `M${left} ${y}h${width}`}, svg);
      svgElement('text', {x: left - 6, y: +y + 4, class: 'tick', 'text-anchor': 'end'}, svg).textContent = short(v);
    }
    const bottom = margin.top + height, showX = state.x === 'seconds' ? clock : short;
    svgElement('path', {class: 'axis', d: `M${left} ${bottom}h${width}`}, svg);
    let freeFrom = -Infinity;
    for (const v of ticksOf(x0, x1, Math.max(2, width / 85))) {
      svgElement('path', {class: 'axis', d: `M${X(v).toFixed(1)} ${bottom}v4`}, svg);
      const text = showX(v), half = text.length * 3.3, at = Math.min(X(v), W - half - 2);
      if (at - half < freeFrom) continue;
      freeFrom = at + half + 6;
      svgElement('text', {x: at.toFixed(1), y: bottom + 17, class: 'tick', 'text-anchor': 'middle'}, svg).textContent = text;
    }
    const group = svgElement('g', {'clip-path': `url(#${clip})`}, svg);
    for (const c of curves) if (c.ys !== c.raw) svgElement('path', {class: 'line faint', style: 'stroke:' + c.color, d: path(c.xs, c.raw, X, Y)}, group);
    for (const c of curves) {
      svgElement('path', {class: 'line' + (c.dashed ? ' dash' : ''), style: 'stroke:' + c.color, d: path(c.xs, c.ys, X, Y)}, group);
      const few = c.xs.length <= 40 && !c.train || c.xs.length === 1;
      c.xs.forEach((x, i) => {
        if (x === null || x < x0 || x > x1) return;
        if (c.raw[i] === null) svgElement('path', {class: 'bad', d: `M${X(x).toFixed(1)} ${bottom}v-7`}, group);
        else if (few && !(state.log && c.ys[i] <= 0)) svgElement('circle', {class: 'dot', style: 'fill:' + c.color, r: 3.5, cx: X(x).toFixed(1), cy: Y(c.ys[i]).toFixed(1)}, group);
      });
    }
    if (panel.drag && panel.drag.x1 !== undefined) {
      const d = panel.drag, box = Math.abs(d.y1 - d.y) > 50 && !d.touch;
      svgElement('rect', {class: 'select', x: Math.min(d.x, d.x1), width: Math.abs(d.x1 - d.x),
        y: box ? Math.min(d.y, d.y1) : margin.top, height: box ? Math.abs(d.y1 - d.y) : height}, group);
    } else if (state.hover && state.hover.x >= x0 && state.hover.x <= x1) drawHover(panel, curves, X, Y, bottom, W);
  };
  const drawHover = (panel, curves, X, Y, bottom, W) => {
    const {x, px} = state.hover, own = state.hover.panel === panel;
    const rows = [];
    for (const c of curves) {
      if (!c.xs.length) continue;
      const i = nearest(c.xs, x);
      if (c.ys[i] !== null && !(state.log && c.ys[i] <= 0)) svgElement('circle', {class: 'dot', style: 'fill:' + c.color, r: 4, cx: X(c.xs[i]).toFixed(1), cy: Y(c.ys[i]).toFixed(1)}, panel.svg);
      rows.push({c, i, away: Math.abs(c.xs[i] - x)});
    }
    svgElement('path', {class: 'cross', d: `M${X(x).toFixed(1)} ${margin.top}V${bottom}`}, panel.svg);
    if (!own || !rows.length) return;
    rows.sort((a, b) => (b.c.ys[b.i] ?? -Infinity) - (a.c.ys[a.i] ?? -Infinity));
    const best = rows.reduce((a, b) => b.away < a.away ? b : a), at = best.c.xs[best.i];
    panel.tip.textContent = '';
    element('b', {}, panel.tip, state.x === 'seconds' ? clock(at) : state.x + ' ' + short(at));
    const table = element('table', {}, panel.tip);
    for (const {c, i} of rows.slice(0, 14)) {
      const row = element('tr', {}, table), name = element('td', {}, row);
      element('span', {class: 'swatch', style: 'background:' + c.color}, name);
      name.append(c.label);
      element('td', {}, row, short(c.ys[i]) + (c.ys !== c.raw ? ' (' + short(c.raw[i]) + ')' : ''));
    }
    panel.tip.hidden = false;
    const inner = panel.svg.getBoundingClientRect(), outer = panel.root.getBoundingClientRect();
    const wide = panel.tip.offsetWidth, offset = inner.left - outer.left;
    const place = px + 16 + wide < W ? px + 16 : px - 16 - wide;
    panel.tip.style.left = Math.max(4, offset + Math.min(place, W - wide - 4)) + 'px';
    panel.tip.style.top = inner.top - outer.top + 12 + 'px';
  };

  // ---- everything
  const drawAll = () => {
    const curves = visible();
    get('reset').hidden = !state.zoom && !Object.keys(state.yzoom).length;
    for (const panel of panels) {
      panel.curves = curves.filter(c => c.name === panel.name);
      panel.root.hidden = state.filter !== '' && !panel.name.toLowerCase().includes(state.filter);
      draw(panel);
    }
  };
  const legend = () => {
    const root = get('legend'), all = kinds();
    root.textContent = '';
    const button = (key, text, color, dashed) => {
      const b = element('button', {type: 'button', 'aria-pressed': !state.hidden.has(key), title: 'click: show or hide; double click: only this one'}, root);
      const line = svgElement('svg', {width: 22, height: 10}, b);
      svgElement('path', {class: 'line' + (dashed ? ' dash' : ''), style: 'stroke:' + color, d: 'M1 5h20'}, line);
      b.append(text);
      b.addEventListener('click', () => {
        if (state.hidden.has(key)) state.hidden.delete(key); else state.hidden.add(key);
        legend(), drawAll();
      });
      b.addEventListener('dblclick', () => {
        const group = key.split(' ')[0] + ' ', keysOf = group === 'run ' ? data.runs.map(r => group + r.name) : all.map(k => group + k);
        const others = keysOf.filter(k => k !== key), alone = others.every(k => state.hidden.has(k));
        for (const k of others) if (alone) state.hidden.delete(k); else state.hidden.add(k);
        state.hidden.delete(key);
        legend(), drawAll();
      });
    };
    if (several()) data.runs.forEach((run, r) => button('run ' + run.name, run.name, `var(--c${r % 8})`, false));
    if (all.length > 1) all.forEach((kind, k) => button('kind ' + kind, kind, several() ? 'var(--soft)' : `var(--c${k % 8})`, several() && kind !== 'training'));
  };
  const table = () => {
    const root = get('table');
    root.textContent = '';
    const head = element('tr', {}, element('thead', {}, root)), body = element('tbody', {}, root);
    for (const text of ['metric', 'on', 'run', 'last', 'least', 'greatest']) element('th', {}, head, text);
    const rows = [];
    data.runs.forEach(run => run.curves.forEach(c => rows.push({run, c})));
    const order = names();
    rows.sort((a, b) => order.indexOf(a.c.name) - order.indexOf(b.c.name));
    for (const {run, c} of rows) {
      const row = element('tr', {}, body);
      for (const text of [c.name, kindOf(c), run.name]) element('td', {}, row, text);
      for (const i of [c.last, c.least, c.greatest]) {
        const cell = element('td', {}, row, i ? short(i[1]) : '');
        if (i) element('span', {class: 'at'}, cell, ' at ' + short(i[0]));
      }
    }
  };
  const names = () => [...new Set(data.runs.flatMap(r => r.curves.map(c => c.name)))];
  const build = () => {
    document.title = data.title || 'Mica';
    get('title').textContent = data.title || 'Mica';
    const wanted = names();
    if (wanted.join('\n') !== panels.map(p => p.name).join('\n')) {
      get('panels').textContent = '';
      panels = wanted.map(makePanel);
    }
    const x = get('x');
    for (const option of x.options) option.disabled = !data.runs.some(r => r.curves.some(c => c[option.value]));
    if (x.selectedOptions[0] && x.selectedOptions[0].disabled) x.value = state.x = 'step';
    get('filter').hidden = wanted.length < 5;
    get('notes').textContent = data.runs.filter(r => r.note).map(r => r.name + ': ' + r.note).join('; ');
    legend(), table(), drawAll(), status();
  };
  const status = () => {
    const on = data.live > 0, seconds = Math.round((Date.now() - received) / 1000), e = get('live');
    e.className = on ? 'on' : '';
    e.textContent = on ? 'live' + (seconds > 20 ? ', last news ' + clock(seconds) + ' ago' : '') : '';
  };

  // ---- live: the sibling script calls micaData with the newest state; a script loads from file:// too
  window.micaData = next => {
    if (next.stamp === stamp) return;
    data = next, stamp = next.stamp, received = Date.now();
    build();
  };
  const poll = () => {
    if (!(data.live > 0)) return status();
    if (!document.hidden && data.file) {
      const script = element('script', {src: encodeURIComponent(data.file) + '?' + Date.now()}, document.head);
      script.onload = script.onerror = () => script.remove();
    }
    status();
    setTimeout(poll, Math.max(data.live, .25) * 1000);
  };

  // ---- controls
  const dark = matchMedia('(prefers-color-scheme: dark)');
  let theme = '';
  const paint = () => document.documentElement.setAttribute('data-theme', theme || (dark.matches ? 'dark' : 'light'));
  dark.addEventListener('change', paint);
  get('theme').addEventListener('click', () => {
    theme = document.documentElement.getAttribute('data-theme') === 'dark' ? 'light' : 'dark';
    paint();
  });
  get('x').value = state.x, get('log').checked = state.log, get('smooth').value = state.smooth;
  const showSmooth = () => { get('amount').textContent = (+state.smooth).toFixed(2); };
  get('x').addEventListener('change', e => { state.x = e.target.value, state.zoom = null, state.hover = null; drawAll(); });
  get('log').addEventListener('change', e => { state.log = e.target.checked, state.yzoom = {}; drawAll(); });
  get('smooth').addEventListener('input', e => { state.smooth = +e.target.value; showSmooth(), drawAll(); });
  get('filter').addEventListener('input', e => { state.filter = e.target.value.toLowerCase(); drawAll(); });
  get('reset').addEventListener('click', resetZoom);
  paint(), showSmooth(), build();
  if (data.live > 0) setTimeout(poll, data.live * 1000), setInterval(status, 5000);
})();
