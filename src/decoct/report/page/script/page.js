// Starts the page: words first, then the library that draws, then what comes into view.
// A page without doors has a list of its sections.
const nav = document.querySelector("nav");
for (const section of document.querySelectorAll("main > section")) {
  const link = document.createElement("a");
  link.href = `#${section.id}`;
  link.textContent = section.querySelector("h2").textContent;
  link.addEventListener("click", (event) => {
    event.preventDefault();
    state.section = section.id;
    writeHash(); // keeps what is filtered out
    section.scrollIntoView();
  });
  nav.append(link);
}

const waiting = new Map(); // elements to be set up when they are seen
const watch = new IntersectionObserver(
  (entries) => {
    for (const { target, isIntersecting } of entries) {
      const figure = figures.find((f) => f.element === target);
      if (figure) {
        figure.seen = isIntersecting;
        if (isIntersecting && figure.stale) draw(figure);
      } else if (isIntersecting) setUp(target);
    }
  },
  { rootMargin: "400px" },
);

function setUp(target) {
  waiting.get(target)?.();
  waiting.delete(target);
  watch.unobserve(target);
}

for (const element of document.querySelectorAll("figure.chart")) {
  setUpFigure(element);
  watch.observe(element);
}
for (const table of document.querySelectorAll("main table")) {
  waiting.set(table, () => setUpTable(table));
  watch.observe(table);
}
listeners.push(redraw);
setUpFilters();
setUpDoors();

// The library is unpacked after the first paint.
async function load() {
  const packed = Uint8Array.from(atob(document.getElementById("plotly").textContent.trim()), (c) => c.charCodeAt(0));
  const stream = new Blob([packed]).stream().pipeThrough(new DecompressionStream("gzip"));
  const library = document.createElement("script");
  library.textContent = await new Response(stream).text();
  document.head.append(library);
  for (const figure of figures) if (figure.seen || printing) draw(figure);
}
document.addEventListener("DOMContentLoaded", () => requestAnimationFrame(() => setTimeout(load)));

// A browser says that it prints, or only changes the medium, as a preview does.
function toPaper() {
  if (printing) return;
  printing = true;
  openAll();
  for (const table of [...waiting.keys()]) setUp(table);
  for (const table of document.querySelectorAll("main table")) fitOnPaper(table);
  for (const figure of figures) draw(figure);
}

function toScreen() {
  if (!printing) return;
  printing = false;
  closeAgain();
  for (const table of document.querySelectorAll("main table")) table.style.zoom = "";
  redraw();
}

window.addEventListener("beforeprint", toPaper);
window.addEventListener("afterprint", toScreen);
matchMedia("print").addEventListener("change", ({ matches }) => (matches ? toPaper() : toScreen()));

// Paper does not scroll: what is wider than an upright page is made smaller.
function fitOnPaper(table) {
  table.style.width = "min-content";
  table.style.zoom = String(Math.max(0.4, Math.min(1, 690 / table.offsetWidth)));
  table.style.width = "";
}
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", redraw);
