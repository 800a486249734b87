"use strict";
// Draws every figure with the theme's colours, lets the keys hide methods, and fills the list of sections.
(() => {
  const figures = [...document.querySelectorAll("figure.chart")].map((element) => ({
    plot: element.querySelector(".plot"),
    spec: JSON.parse(element.querySelector("script").textContent),
  }));
  const hidden = new Set();

  const color = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();

  function themed(layout) {
    const ink = color("--ink"), muted = color("--muted"), line = color("--line"), band = color("--band");
    const axis = { gridcolor: line, zerolinecolor: muted, linecolor: line, tickcolor: line };
    const title = (a) => (a.title ? { title: { ...a.title, font: { size: 12, color: muted } } } : {});
    const shape = {
      band: { fillcolor: band, line: { width: 0 }, layer: "below" },
      ceiling: { line: { color: muted, width: 1.2, dash: "dash" }, layer: "below" },
      grid: { line: { color: line, width: 1 }, layer: "below" },
    };
    return {
      ...layout,
      paper_bgcolor: "rgba(0,0,0,0)",
      plot_bgcolor: "rgba(0,0,0,0)",
      font: { family: "system-ui, sans-serif", size: 12, color: ink },
      hoverlabel: { bgcolor: color("--card"), bordercolor: muted, font: { color: ink }, align: "left" },
      modebar: { bgcolor: "rgba(0,0,0,0)", color: line, activecolor: muted },
      xaxis: { ...axis, ...layout.xaxis, ...title(layout.xaxis) },
      yaxis: { ...axis, ...layout.yaxis, ...title(layout.yaxis) },
      shapes: (layout.shapes || []).map((s) => ({ ...s, ...shape[s.name] })),
      annotations: (layout.annotations || []).map((a) => ({ ...a, font: { size: a.name === "note" ? 11 : 12, color: a.name === "note" ? muted : ink } })),
    };
  }

  function draw() {
    for (const { plot, spec } of figures) {
      const data = spec.data.map((trace) => ({ ...trace, visible: !hidden.has(String(trace.meta)) }));
      Plotly.react(plot, data, themed(spec.layout), {
        responsive: true,
        displaylogo: false,
        modeBarButtons: [["toImage"]],
        toImageButtonOptions: { format: "svg", filename: "decoct" },
      });
    }
  }

  for (const key of document.querySelectorAll("button[data-method]")) {
    key.addEventListener("click", () => {
      const shown = key.getAttribute("aria-pressed") !== "true";
      key.setAttribute("aria-pressed", String(shown));
      hidden[shown ? "delete" : "add"](key.dataset.method);
      draw();
    });
  }

  const nav = document.querySelector("nav");
  for (const section of document.querySelectorAll("main > section")) {
    const link = document.createElement("a");
    link.href = `#${section.id}`;
    link.textContent = section.querySelector("h2").textContent;
    nav.append(link);
  }

  draw();
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", draw);
  matchMedia("print").addEventListener("change", draw); // paper is light
})();
