// What is filtered out, and the rows, columns, figures and blocks that go with it. The state lives in the address:
// #SECTION&method=HIDDEN&budget=HIDDEN&class=SHOWN.
const FACETS = ["method", "budget", "protocol", "student"];
const state = { hidden: Object.fromEntries(FACETS.map((facet) => [facet, new Set()])), only: null, section: "" };
const listeners = [];

// Whether something is filtered out: `of` gives values by facet.
const gone = (of) => FACETS.some((facet) => of[facet] !== undefined && state.hidden[facet].has(of[facet]));

function readHash() {
  const [section, ...rest] = location.hash.slice(1).split("&");
  const wanted = new URLSearchParams(rest.join("&"));
  for (const facet of FACETS) state.hidden[facet] = new Set(wanted.getAll(facet));
  state.only = wanted.get("class");
  state.section = decode(section);
}

function writeHash() {
  const wanted = new URLSearchParams();
  for (const facet of FACETS) for (const value of state.hidden[facet]) wanted.append(facet, value);
  if (state.only !== null) wanted.append("class", state.only);
  const text = wanted.toString();
  history.replaceState(null, "", `#${encodeURIComponent(state.section)}${text ? `&${text}` : ""}`);
}

function decode(text) {
  try {
    return decodeURIComponent(text);
  } catch {
    return "";
  }
}

function changed() {
  writeHash();
  filterPage();
}

function filterPage() {
  showState();
  hideMarked();
  for (const listener of listeners) listener();
}

function showState() {
  const said = [];
  for (const facet of FACETS) {
    const count = state.hidden[facet].size;
    if (count) said.push(`${count} ${facet}${count > 1 ? "s" : ""} hidden`);
  }
  for (const key of document.querySelectorAll("button[data-facet]")) {
    key.setAttribute("aria-pressed", String(!state.hidden[key.dataset.facet].has(key.dataset.value)));
  }
  for (const element of document.querySelectorAll(".filters .state")) element.textContent = said.join(", ") || "everything is shown";
  for (const element of document.querySelectorAll("[data-reset]")) element.hidden = !said.length && state.only === null;
  for (const select of document.querySelectorAll("select[data-class]")) select.value = state.only ?? "";
}

// Headings that name something stand for the figure, details or block around them, a line of a ranking for itself.
const HOLDERS = { FIGCAPTION: "figure", SUMMARY: "details", H4: ".block", LI: "li" };
let marked = null;

function hideMarked() {
  marked ??= [...document.querySelectorAll("main :is(figcaption, summary, h4, .ranking li)")]
    .map((heading) => ({ holder: heading.closest(HOLDERS[heading.tagName]), named: namedIn(heading) }))
    .filter(({ holder, named }) => holder && Object.keys(named).length && !holder.matches(".filters, .menu"));
  for (const { holder, named } of marked) holder.hidden = allGone(named);
  for (const table of document.querySelectorAll("table.ready")) filterTable(table);
}

// Values by facet that an element names.
function namedIn(element) {
  const found = {};
  for (const facet of FACETS) {
    const values = [...element.querySelectorAll(`[data-${facet}]`)].map((e) => e.dataset[facet]);
    if (values.length) found[facet] = values;
  }
  return found;
}

const allGone = (named) => Object.entries(named).some(([facet, values]) => values.every((v) => state.hidden[facet].has(v)));

function filterTable(table) {
  const { columns, spans } = layoutOf(table);
  const hidden = columns.map((heads) => heads.some((head) => allGone(namedIn(head))));
  for (const row of table.rows) {
    if (row.parentNode.tagName === "TBODY") row.hidden = [...row.cells].some((cell) => cell.scope !== "colgroup" && allGone(namedIn(cell)));
    for (const cell of row.cells) {
      const { at, span } = spans.get(cell);
      const shown = hidden.slice(at, at + span).filter((h) => !h).length;
      cell.hidden = !shown;
      if (span > 1) cell.colSpan = Math.max(shown, 1);
    }
  }
}

function setUpFilters() {
  for (const key of document.querySelectorAll("button[data-facet]")) {
    key.addEventListener("click", () => {
      const own = state.hidden[key.dataset.facet];
      if (!own.delete(key.dataset.value)) own.add(key.dataset.value);
      changed();
    });
  }
  for (const reset of document.querySelectorAll("[data-reset]")) {
    reset.addEventListener("click", () => {
      for (const facet of FACETS) state.hidden[facet].clear();
      state.only = null;
      changed();
    });
  }
  for (const select of document.querySelectorAll("select[data-class]")) {
    select.addEventListener("change", () => {
      state.only = select.value || null;
      changed();
    });
  }
  const goTo = () => {
    readHash();
    filterPage();
    reveal(state.section);
  };
  window.addEventListener("hashchange", goTo);
  if (location.hash) goTo();
}
