// Tables: where each cell stands, sorting by a column, and a menu to take a table away with.
const layouts = new WeakMap();

// Column and span of every cell as the page was made, and the header cells over each column.
function layoutOf(table) {
  if (layouts.has(table)) return layouts.get(table);
  const spans = new Map(), columns = [];
  for (const row of table.rows) {
    let at = 0;
    for (const cell of row.cells) {
      spans.set(cell, { at, span: cell.colSpan });
      if (row.parentNode.tagName === "THEAD") for (let c = at; c < at + cell.colSpan; c++) (columns[c] ??= []).push(cell);
      at += cell.colSpan;
    }
  }
  const made = { spans, columns, order: [...table.tBodies[0].rows] };
  layouts.set(table, made);
  return made;
}

// A cell's words, with spaces where the page has new lines.
function words(cell) {
  const found = [], walker = document.createTreeWalker(cell, NodeFilter.SHOW_TEXT);
  while (walker.nextNode()) found.push(walker.currentNode.nodeValue);
  return found.join(" ").replace(/\s+/g, " ").replace(/ ([,;)])/g, "$1").trim();
}

// What a cell is sorted by: its number, or its words; null where there is a dash.
function valueOf(cell) {
  const holder = cell.matches("[data-value]") ? cell : cell.querySelector("[data-value]");
  if (holder) return holder.dataset.value === "" || isNaN(holder.dataset.value) ? null : Number(holder.dataset.value);
  const text = words(cell);
  if (text === "" || text === "–") return null;
  const plain = text.replaceAll(",", "").replace("−", "-");
  return /^[+-]?\d+(\.\d+)?$/.test(plain) ? Number(plain) : text;
}

function compare(a, b) {
  if (typeof a === "number" && typeof b === "number") return a - b;
  if (typeof a === typeof b) return a.localeCompare(b, undefined, { numeric: true });
  return typeof a === "number" ? -1 : 1;
}

// Rows that stand for all columns, such as headings, keep their place; the others are sorted between them.
function sortTable(table, column, direction) {
  const { spans, order, columns } = layoutOf(table), body = table.tBodies[0];
  const cellAt = (row) => [...row.cells].find((cell) => spans.get(cell).at === column);
  const rows = [];
  let run = [];
  const flush = () => {
    const keyed = run.map((row) => ({ row, value: valueOf(cellAt(row)) }));
    const known = keyed.filter(({ value }) => value !== null), rest = keyed.filter(({ value }) => value === null);
    if (direction) known.sort((a, b) => direction * compare(a.value, b.value));
    rows.push(...(direction ? [...known, ...rest] : keyed).map(({ row }) => row));
    run = [];
  };
  for (const row of order) {
    if (row.cells.length === columns.length) run.push(row);
    else {
      flush();
      rows.push(row);
    }
  }
  flush();
  body.append(...rows);
}

function makeSortable(table) {
  const { columns, spans } = layoutOf(table);
  if (table.tBodies[0].rows.length < 2) return;
  columns.forEach((heads, column) => {
    const head = heads.at(-1);
    if (spans.get(head).span > 1) return;
    const button = document.createElement("button");
    button.type = "button";
    button.className = "sort";
    button.append(...head.childNodes);
    head.append(button);
    button.addEventListener("click", () => {
      const before = head.getAttribute("aria-sort");
      const texts = [...table.tBodies[0].rows].some((row) => row.cells.length === columns.length && typeof valueOf(row.cells[column]) === "string");
      const [first, second] = texts ? ["ascending", "descending"] : ["descending", "ascending"];
      const next = before === first ? second : before === second ? null : first;
      for (const each of table.tHead.querySelectorAll("[aria-sort]")) each.removeAttribute("aria-sort");
      if (next) head.setAttribute("aria-sort", next);
      sortTable(table, column, next === "ascending" ? 1 : next ? -1 : 0);
    });
  });
}

// Rows of { text, span, head } as they are shown: what is filtered out is left out.
function shownRows(table) {
  const shown = (row) => [...row.cells].filter((cell) => !cell.hidden);
  const plain = (cell) => ({ text: words(cell), span: cell.colSpan, head: cell.closest("thead") !== null });
  return [...table.rows].filter((row) => !row.hidden).map((row) => shown(row).map(plain));
}

// Rows with as many cells as there are columns: headings of several rows joined into one, a wide cell's words once.
function flat(rows) {
  const many = Math.max(...rows.map((cells) => cells.reduce((sum, { span }) => sum + span, 0)));
  const whole = (row) => [...row, ...Array(many - row.length).fill("")];
  const heads = rows.filter((cells) => cells[0]?.head).map((cells) => cells.flatMap(({ text, span }) => Array(span).fill(text)));
  const body = rows.filter((cells) => !cells[0]?.head).map((cells) => cells.flatMap(({ text, span }) => [text, ...Array(span - 1).fill("")]));
  const head = whole([]).map((_, column) => heads.map((row) => row[column]).filter(Boolean).join(" · "));
  return [head, ...body.map(whole)];
}

function markdown(rows) {
  const cell = (text) => text.replace(/[\\`*_{}[\]<>#|~]/g, "\\$&");
  const [head, ...body] = flat(rows).map((row) => `| ${row.map(cell).join(" | ")} |`);
  return [head, `|${flat(rows)[0].map((_, i) => (i ? "---:" : "---")).join("|")}|`, ...body, ""].join("\n");
}

function csv(rows) {
  // A spreadsheet would run a name that looks like a formula; numbers with their interval stay what they are.
  const number = /^[+-][\d.,]+[\d.,\s%±×–−[\]()+-]*$/;
  const safe = (text) => (/^'*[=+\-@\t\r\n＝＋－＠]/.test(text) && !number.test(text) ? `'${text}` : text);
  const cell = (text) => (/[",\n\r]/.test(safe(text)) ? `"${safe(text).replaceAll('"', '""')}"` : safe(text));
  return flat(rows).map((row) => `${row.map(cell).join(",")}\r\n`).join("");
}

function addMenu(table) {
  const menu = document.createElement("details"), title = document.createElement("summary");
  menu.className = "menu";
  title.textContent = "Take this table";
  menu.append(title);
  const entry = (label, act) => {
    const button = document.createElement("button");
    button.type = "button";
    button.textContent = label;
    button.addEventListener("click", async () => {
      const done = await act();
      button.textContent = done;
      setTimeout(() => (button.textContent = label), 1500);
    });
    menu.append(button);
  };
  entry("Copy as Markdown", () => copy(markdown(shownRows(table))));
  entry("Download CSV", () => {
    const section = table.closest("section");
    const url = URL.createObjectURL(new Blob(["\ufeff", csv(shownRows(table))], { type: "text/csv" }));
    save(url, `decoct-${section ? section.id : "table"}.csv`);
    setTimeout(() => URL.revokeObjectURL(url), 10000);
    return "Saved";
  });
  table.closest(".scroll").after(menu);
}

async function copy(text) {
  try {
    await navigator.clipboard.writeText(text);
    return "Copied";
  } catch {
    const area = document.createElement("textarea");
    area.value = text;
    document.body.append(area);
    area.select();
    const done = document.execCommand("copy");
    area.remove();
    return done ? "Copied" : "Not allowed here";
  }
}

function save(url, name) {
  const link = document.createElement("a");
  link.href = url;
  link.download = name;
  link.click();
}

function setUpTable(table) {
  makeSortable(table);
  addMenu(table);
  table.classList.add("ready");
  filterTable(table);
}
