// Everything that came from outside (captions, names, reasons) reaches the page as text, never as HTML.
const SVG = "http://www.w3.org/2000/svg";

export const by = (id) => document.getElementById(id);

/** Make an element: make("td", {class: "number"}, "text", child, …); null children are left out. */
export function make(tag, attributes = {}, ...children) {
  return fill(document.createElement(tag), attributes, children);
}

/** The same for SVG. */
export function draw(tag, attributes = {}, ...children) {
  return fill(document.createElementNS(SVG, tag), attributes, children);
}

function fill(element, attributes, children) {
  for (const [name, value] of Object.entries(attributes)) {
    if (value === null || value === undefined || value === false) continue;
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (name === "style") for (const [key, item] of Object.entries(value)) element.style.setProperty(key, item);
    else element.setAttribute(name, value === true ? "" : value);
  }
  element.append(...children.flat(2).filter((child) => child !== null && child !== undefined));
  return element;
}

/** A wide thing that scrolls by itself, by keyboard too. */
export function scroll(label, ...children) {
  return make("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": label }, children);
}

/** A table: heads are column titles, rows arrays of cells (text or elements); the first cell heads its row. `of`: what it is about, for screen readers. */
export function table(title, heads, rows, of = "") {
  return scroll(of ? `${title}, ${of}` : title, make("table", {}, make("caption", {}, title),
    make("thead", {}, make("tr", {}, heads.map((head) => make("th", { scope: "col" }, head)))),
    make("tbody", {}, rows.map((row) => make("tr", {}, row.map((cell, index) => make(index ? "td" : "th", index ? {} : { scope: "row" }, cell)))))));
}

/** Offer text as a file. */
export function download(name, type, text) {
  const link = make("a", { href: URL.createObjectURL(new Blob([text], { type })), download: name });
  document.body.append(link);
  link.click();
  link.remove();
  setTimeout(() => URL.revokeObjectURL(link.href), 10000);
}

/** Let people choose the colours, and remember it. */
export function theme(select) {
  const apply = (value) => (value ? (document.documentElement.dataset.theme = value) : delete document.documentElement.dataset.theme);
  try {
    select.value = localStorage.getItem("aligncap-theme") || "";
  } catch { /* storage is forbidden: nothing is remembered */ }
  apply(select.value);
  select.addEventListener("change", () => {
    apply(select.value);
    try {
      localStorage.setItem("aligncap-theme", select.value);
    } catch { /* likewise */ }
  });
}

export const seconds = (value) => `${value.toFixed(1)} s`;
export const percent = (value) => `${(100 * value).toFixed(value < 0.0995 ? 1 : 0)} %`;
