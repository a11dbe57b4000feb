"use strict";
// Everything that came from outside (captions, names, reasons) reaches the page as text, never as HTML.
const DATA = JSON.parse(document.getElementById("data").textContent);
const SVG = "http://www.w3.org/2000/svg";
const NAMES = DATA.systems.map((system) => system.name);

/** Make an element: make("td", {class: "number"}, "text", child, …); null children are left out. */
function make(tag, attributes = {}, ...children) {
  return fill(document.createElement(tag), attributes, children);
}

/** The same for SVG. */
function draw(tag, attributes = {}, ...children) {
  return fill(document.createElementNS(SVG, tag), attributes, children);
}

function fill(element, attributes, children) {
  for (const [name, value] of Object.entries(attributes)) {
    if (value === null || value === undefined) continue;
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (name === "style") for (const [key, item] of Object.entries(value)) element.style.setProperty(key, item);
    else element.setAttribute(name, value);
  }
  element.append(...children.flat().filter((child) => child !== null && child !== undefined));
  return element;
}

function metric(name) {
  return DATA.metrics[name];
}

/** The metrics that tables show and that were measured, in their order. */
function shownMetrics() {
  return DATA.groups.flatMap(([, names]) => names).filter(metric);
}

/** As people read it: 0.624, 11.5 words, 118 words. */
function number(value, name = "") {
  if (value === null || value === undefined) return "";
  const open = name && metric(name) && metric(name).high === null;
  if (open) return Number.isInteger(value) ? String(value) : value.toFixed(1);
  return value.toFixed(3);
}

const SCORES = new Map(DATA.scores.map((score) => [[score.system, score.part, score.name, score.metric].join("\n"), score]));

function score(system, part, name, metricName) {
  return SCORES.get([system, part, name, metricName].join("\n"));
}

/** All parts that have scores, the widest first, as [part, name, what to call it]. */
function parts() {
  const found = new Map();
  for (const one of DATA.scores) found.set(`${one.part}\n${one.name}`, [one.part, one.name]);
  const order = ["mean", "all", "corpus", "language"];
  return [...found.values()]
    .sort((a, b) => order.indexOf(a[0]) - order.indexOf(b[0]))
    .map(([part, name]) => [part, name, partName({ part, name })]);
}

/** What to call a part of the data. */
function partName({ part, name }) {
  return { mean: "mean over corpora", all: "all clips" }[part] || `${part}: ${name || "(none)"}`;
}

function colour(system) {
  return `var(--s${NAMES.indexOf(system) % 8})`;
}

/** A labelled choice; `options` are [value, text]. */
function choice(label, options, changed, value = options.length ? options[0][0] : "") {
  const select = make("select", { onchange: () => changed() }, options.map(([key, text]) => make("option", { value: key }, text)));
  select.value = value;
  return [make("label", {}, label, select), select];
}

/** A section of the page. */
function section(id, title, note, ...children) {
  const heading = make("h2", { id: `${id}-title` }, title);
  return make("section", { id, "aria-labelledby": `${id}-title` }, heading, note ? make("p", { class: "note" }, note) : null, children);
}

/** A wide thing that scrolls by itself, by keyboard too. */
function scroll(label, ...children) {
  return make("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": label }, children);
}

/**
 * A table whose columns can be sorted.
 * columns: {title, number}; rows: arrays of {value, show} or plain values; the first column heads its row.
 */
function sortable(title, columns, rows) {
  const body = make("tbody");
  const cells = (row) =>
    row.map((cell, index) => {
      const { value, show, kind } = cell !== null && typeof cell === "object" ? cell : { value: cell };
      const shown = show === undefined ? String(value ?? "") : show;
      const attributes = { class: [columns[index].number ? "number" : "", kind || ""].join(" ").trim() || null };
      const element = make(index ? "td" : "th", index ? attributes : { ...attributes, scope: "row" }, shown);
      element.sortValue = value;
      return element;
    });
  for (const row of rows) body.append(make("tr", {}, cells(row)));
  const heads = columns.map((column, index) =>
    make("th", { scope: "col", class: column.number ? "number" : null },
      make("button", { type: "button", onclick: () => sort(index) }, column.title)));
  function sort(index) {
    const down = heads[index].getAttribute("aria-sort") === (columns[index].number ? "descending" : "ascending");
    const falling = columns[index].number ? !down : down;
    heads.forEach((head) => head.removeAttribute("aria-sort"));
    heads[index].setAttribute("aria-sort", falling ? "descending" : "ascending");
    const empty = (value) => value === null || value === undefined || value === "";
    const sorted = [...body.rows].sort((a, b) => {
      const [x, y] = [a.cells[index].sortValue, b.cells[index].sortValue];
      if (empty(x) || empty(y)) return Number(empty(x)) - Number(empty(y));
      const order = typeof x === "number" && typeof y === "number" ? x - y : String(x).localeCompare(String(y));
      return falling ? -order : order;
    });
    body.append(...sorted);
  }
  return scroll(title, make("table", {}, make("caption", {}, title), make("thead", {}, make("tr", {}, heads)), body));
}

/** Offer text as a file. */
function download(name, type, text) {
  const link = make("a", { href: URL.createObjectURL(new Blob([text], { type })), download: name });
  document.body.append(link);
  link.click();
  link.remove();
  setTimeout(() => URL.revokeObjectURL(link.href), 10000);
}

/** Rows as CSV; what a spreadsheet would take for a formula becomes text. */
function csv(rows) {
  const cell = (value) => {
    let text = value === null || value === undefined ? "" : String(value);
    if (typeof value === "string" && /^[=+\-@\t\r]/.test(text)) text = `'${text}`;
    return /[",\n\r]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
  };
  return rows.map((row) => row.map(cell).join(",")).join("\n") + "\n";
}
