// Draws figures in the theme's colours when they come into view, without what is filtered out; saves them as SVG and PNG.
const figures = [];
let printing = false;

// Where the colours are: paper is always light.
const palette = () => (printing || matchMedia("print").matches ? document.querySelector(".light") : document.documentElement);

function themed(layout, root) {
  const color = (name) => getComputedStyle(root).getPropertyValue(name).trim();
  const ink = color("--ink"), muted = color("--muted"), line = color("--line"), band = color("--band");
  const axis = { gridcolor: line, zerolinecolor: muted, linecolor: line, tickcolor: line };
  const title = (a) => (a.title ? { title: { ...a.title, font: { size: 12, color: muted } } } : {});
  const shape = {
    band: { fillcolor: band, line: { width: 0 }, layer: "below" },
    ceiling: { line: { color: muted, width: 1.2, dash: "dash" }, layer: "below" },
    grid: { line: { color: line, width: 1 }, layer: "below" },
  };
  const font = (name) => ({ size: name === "note" ? 11 : 12, color: name === "note" ? muted : ink });
  return {
    ...layout,
    paper_bgcolor: "rgba(0,0,0,0)",
    plot_bgcolor: "rgba(0,0,0,0)",
    font: { family: "system-ui, sans-serif", size: 12, color: ink },
    hoverlabel: { bgcolor: color("--card"), bordercolor: muted, font: { color: ink }, align: "left" },
    xaxis: { ...axis, ...layout.xaxis, ...title(layout.xaxis) },
    yaxis: { ...axis, ...layout.yaxis, ...title(layout.yaxis) },
    shapes: (layout.shapes || []).map((s) => ({ ...s, ...shape[s.name] })),
    annotations: (layout.annotations || []).map((a) => ({ ...a, font: font(a.name) })),
  };
}

// A trace without the points that are filtered out; null where none is left.
function filtered(trace, names) {
  const meta = trace.meta || {}, lists = {}, whole = {};
  for (const [key, value] of Object.entries(meta)) (Array.isArray(value) ? lists : whole)[key] = value;
  if (gone(whole)) return null;
  const many = trace.x.length, own = names && lists.class;
  const keep = [...trace.x.keys()].filter((i) => {
    if (own && state.only !== null && String(own[i]) !== state.only) return false;
    return FACETS.every((facet) => !lists[facet] || !state.hidden[facet].has(lists[facet][i]));
  });
  if (!keep.length) return null;
  const cut = (value) => (Array.isArray(value) && value.length === many ? keep.map((i) => value[i]) : value);
  const each = (object, keys) => {
    const copy = { ...object };
    for (const key of keys) if (key in copy) copy[key] = cut(copy[key]);
    return copy;
  };
  const made = each(trace, ["x", "y", "customdata", "text"]);
  if (own) made.customdata = keep.map((i) => names[own[i]]);
  if (made.marker) made.marker = each(made.marker, ["size"]);
  for (const bar of ["error_x", "error_y"]) if (made[bar]) made[bar] = each(made[bar], ["array", "arrayminus"]);
  return made;
}

// The figure as it is to be drawn: places on its axis close up where what stood there is filtered out.
function shown(spec) {
  const { slots, axis, height, classes, annotations } = spec.layout.meta || {};
  const data = spec.data.map((trace) => filtered(trace, classes)).filter(Boolean), layout = { ...spec.layout };
  // What an annotation is of, and how it looks where there is little room.
  layout.annotations = (layout.annotations || []).map((a, i) => ({ ...a, ...annotations?.[i] })).filter((a) => !gone(a.of || {}));
  const away = (slots || []).filter(gone).map((slot) => slot.at);
  if (!away.length) return { data, layout };
  const move = (v) => v - away.filter((at) => at < v - 0.45).length;
  const moved = (object, keys, reference) => {
    const copy = { ...object };
    if (object[reference] !== "paper") for (const key of keys) if (key in copy) copy[key] = move(copy[key]);
    return copy;
  };
  const full = layout[`${axis}axis`], ticks = full.tickvals.map((v, i) => [v, full.ticktext[i]]).filter(([v]) => !away.includes(v));
  layout[`${axis}axis`] = { ...full, range: full.range.map(move), tickvals: ticks.map(([v]) => move(v)), ticktext: ticks.map(([, t]) => t) };
  layout.shapes = (layout.shapes || []).map((s) => moved(s, [`${axis}0`, `${axis}1`], `${axis}ref`));
  layout.annotations = (layout.annotations || [])
    .filter((a) => a[`${axis}ref`] === "paper" || !away.includes(a[axis]))
    .map((a) => moved(a, [axis], `${axis}ref`));
  layout.height -= away.length * height;
  for (const trace of data) trace[axis] = trace[axis].map(move);
  return { data, layout };
}

function draw(figure) {
  if (!window.Plotly) return;
  figure.spec ??= JSON.parse(figure.element.querySelector("script").textContent);
  const { data, layout } = shown(figure.spec);
  figure.plot.style.height = `${layout.height}px`;
  const nothing = data.length ? [] : [{ text: "all of it is filtered out", showarrow: false, xref: "paper", yref: "paper", x: 0.5, y: 0.5, name: "note" }];
  const narrow = figure.plot.clientWidth < 520;
  const words = (layout.annotations || []).map((a) => (narrow ? { ...a, ...a.narrow } : a));
  const themedLayout = themed({ ...layout, annotations: [...words, ...nothing] }, palette());
  Plotly.react(figure.plot, data, themedLayout, { responsive: true, displayModeBar: false });
  document.getElementById("js-plotly-tester")?.setAttribute("aria-hidden", "true"); // words are measured in it
  mark(figure, false);
}

function mark(figure, stale) {
  figure.stale = stale;
  figure.element.setAttribute("aria-busy", String(stale));
}

// What came out of date is drawn now where it can be seen, and later where it cannot.
function redraw() {
  for (const figure of figures) {
    mark(figure, true);
    if (figure.seen && figure.element.offsetParent) draw(figure);
  }
}

async function saveFigure(figure, format) {
  draw(figure);
  const { data, layout } = shown(figure.spec), light = document.querySelector(".light");
  const width = Math.max(figure.plot.clientWidth, 480), height = layout.height;
  const whole = { ...themed(layout, light), width, height, paper_bgcolor: "#ffffff" };
  const url = await Plotly.toImage({ data, layout: whole }, { format, width, height, scale: format === "png" ? 2 : 1 });
  const section = figure.element.closest("section");
  save(url, `decoct-${section ? section.id : "figure"}.${format}`);
}

function setUpFigure(element) {
  const figure = { element, plot: element.querySelector(".plot"), stale: true, seen: false };
  const bar = document.createElement("span");
  bar.className = "save";
  for (const format of ["svg", "png"]) {
    const button = document.createElement("button");
    button.type = "button";
    button.textContent = format.toUpperCase();
    button.title = `save as ${button.textContent}`;
    button.addEventListener("click", () => saveFigure(figure, format));
    bar.append(button);
  }
  element.querySelector("figcaption").prepend(bar);
  mark(figure, true);
  figures.push(figure);
  return figure;
}
