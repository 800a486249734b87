// A table's rows, each a list of { text, span, head }, as Markdown, LaTeX and CSV.

// Every row with as many cells as there are columns; headings of several rows joined into one.
function flat(rows) {
  const wide = rows.map((cells) => cells.flatMap(({ text, span }) => Array(span).fill(text)));
  const many = Math.max(...wide.map((row) => row.length));
  for (const row of wide) while (row.length < many) row.push("");
  const heads = wide.filter((_, i) => rows[i][0]?.head), body = wide.filter((_, i) => !rows[i][0]?.head);
  const head = Array.from({ length: many }, (_, c) => heads.map((row) => row[c]).filter(Boolean).join(" · "));
  const once = body.map((row, r) => {
    const spans = rows.filter((cells) => !cells[0]?.head)[r];
    return spans.length < many ? spans.flatMap(({ text, span }) => [text, ...Array(span - 1).fill("")]) : row;
  });
  return { head, body: once };
}

function markdown(rows) {
  const { head, body } = flat(rows);
  const cell = (text) => text.replace(/[\\`*_{}[\]<>#|~]/g, "\\$&");
  const line = (cells) => `| ${cells.map(cell).join(" | ")} |`;
  return [line(head), `|${head.map((_, i) => (i ? "---:" : "---")).join("|")}|`, ...body.map(line), ""].join("\n");
}

const TEX = {
  "\\": "\\textbackslash{}", "{": "\\{", "}": "\\}", $: "\\$", "&": "\\&", "#": "\\#", _: "\\_", "%": "\\%",
  "^": "\\textasciicircum{}", "~": "\\textasciitilde{}", "<": "\\textless{}", ">": "\\textgreater{}", "|": "\\textbar{}",
  '"': "\\textquotedbl{}", "`": "\\textasciigrave{}", "−": "$-$", "–": "\\textendash{}",
  "±": "$\\pm$", "≈": "$\\approx$", "†": "$^\\dagger$", "·": "$\\cdot$",
  "×": "$\\times$", "↑": "$\\uparrow$", "↓": "$\\downarrow$", "▲": "$\\blacktriangle$", "▼": "$\\blacktriangledown$",
  "△": "$\\triangle$", "▽": "$\\triangledown$", "≤": "$\\leq$", "≥": "$\\geq$", "τ": "$\\tau$", "…": "\\ldots{}",
};

// Two hyphens, or two quotes, are set as one sign.
const tex = (text) => [...text].map((c) => TEX[c] ?? c).join("").replace(/-(?=-)|'(?=')/g, "$&{}");

function latex(rows) {
  const many = Math.max(...rows.map((cells) => cells.reduce((sum, { span }) => sum + span, 0)));
  const cell = ({ text, span }) => {
    const shown = /^\s*[[*]/.test(text) ? `{}${tex(text)}` : tex(text); // after \\ it would be an option
    return span > 1 ? `\\multicolumn{${span}}{c}{${shown}}` : shown;
  };
  const line = (cells) => `${cells.map(cell).join(" & ")} \\\\`;
  const heads = rows.filter((cells) => cells[0]?.head), body = rows.filter((cells) => !cells[0]?.head);
  return [
    "% needs \\usepackage{booktabs, amssymb}", `\\begin{tabular}{l${"r".repeat(many - 1)}}`, "\\toprule",
    ...heads.map(line), "\\midrule", ...body.map(line), "\\bottomrule", "\\end{tabular}", "",
  ].join("\n");
}

function csv(rows) {
  const { head, body } = flat(rows);
  // A spreadsheet would run a name that looks like a formula.
  const safe = (text) => (/^[=@\t\r]|^[+-](?![\d.])/.test(text) ? `'${text}` : text);
  const cell = (text) => (/[",\n\r]/.test(safe(text)) ? `"${safe(text).replaceAll('"', '""')}"` : safe(text));
  return [head, ...body].map((row) => `${row.map(cell).join(",")}\r\n`).join("");
}
