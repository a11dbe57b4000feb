// Captions one by one, and the page as a whole.

const PAGE = 12;

function examples() {
  const list = make("ul", { class: "cards" });
  const count = make("p", { class: "note", role: "status" });
  const more = make("button", { type: "button", onclick: () => { shown += PAGE; render(); } }, "Show more");
  const scores = [...new Set(DATA.captions.flatMap((row) => Object.values(row.systems || {}).flatMap((said) => Object.keys(said.scores || {}))))];
  const orders = [["worst", "worst first"], ["random", "at random"], ["given", "as in the file"],
    ...scores.filter((key) => metric(key).higher_is_better !== null).map((key) => [`by ${key}`, `worst ${metric(key).title}`])];
  const [orderLabel, order] = choice("Order", orders, restart);
  const [corpusLabel, corpus] = choice("Corpus", [["", "all"], ...unique("corpus")], restart);
  const [emotionLabel, emotion] = choice("Emotion", [["", "all"], ...unique("emotion")], restart);
  const types = [...new Set(DATA.hallucinations.map((one) => one.type))].sort();
  const [findingLabel, finding] = choice("Finding", [["", "any or none"], ["*", "any"], ...types.map((name) => [name, name])], restart);
  const search = make("input", { type: "search", oninput: restart });
  let shown = PAGE;
  let seed = 1;
  const again = make("button", { type: "button", onclick: () => { seed += 1; order.value = "random"; restart(); } }, "Another sample");

  function unique(key) {
    return [...new Set(DATA.captions.map((row) => row[key]).filter(Boolean))].sort().map((name) => [name, name]);
  }
  function restart() {
    shown = PAGE;
    render();
  }
  function chosen() {
    const wanted = search.value.trim().toLowerCase();
    const found = DATA.order.map((index) => DATA.captions[index]).filter((row) => {
      const said = Object.values(row.systems || {});
      if (corpus.value && row.corpus !== corpus.value) return false;
      if (emotion.value && row.emotion !== emotion.value) return false;
      const kinds = said.flatMap((one) => (one.findings || []).map((item) => item.type));
      if (finding.value === "*" ? !kinds.length : finding.value && !kinds.includes(finding.value)) return false;
      return !wanted || [row.id, ...said.map((one) => one.caption)].some((text) => text.toLowerCase().includes(wanted));
    });
    if (order.value === "given") return found.sort((a, b) => DATA.captions.indexOf(a) - DATA.captions.indexOf(b));
    if (order.value === "random") {
      const random = numbers(seed);
      return found.map((row) => [random(), row]).sort((a, b) => a[0] - b[0]).map(([, row]) => row);
    }
    if (order.value.startsWith("by ")) {
      const key = order.value.slice(3);
      const sign = metric(key).higher_is_better ? 1 : -1;
      const mean = (row) => {
        const values = Object.values(row.systems || {}).map((one) => (one.scores || {})[key]).filter((value) => value !== undefined);
        return values.length ? (sign * values.reduce((sum, value) => sum + value, 0)) / values.length : Infinity;
      };
      return found.map((row) => [mean(row), row]).sort((a, b) => a[0] - b[0]).map(([, row]) => row);
    }
    return found;
  }
  function render() {
    const found = chosen();
    list.replaceChildren(...found.slice(0, shown).map(card));
    count.textContent = `${Math.min(shown, found.length)} of ${found.length} clips`;
    more.hidden = shown >= found.length;
  }
  render();
  const cut = DATA.embedded < DATA.clips ? ` Of ${DATA.clips} clips, ${DATA.embedded} are in this file: half of them the worst.` : "";
  const plots = Object.keys(DATA.contours).length ? " Plots: pitch in Hz (line) and level (area) over time." : "";
  const note = `Worst: wrong emotion, heavy findings, little in common with the references, sure of the wrong label; over all systems.${cut}${plots}`;
  return section("examples", "Captions", note,
    make("div", { class: "controls" }, orderLabel, corpusLabel, emotionLabel, findingLabel, make("label", {}, "Text or id", search), again), count, list, make("p", {}, more));
}

function card(row) {
  const audio = DATA.audio[row.id];
  const votes = Object.entries(row.votes || {}).map(([name, share]) => `${name} ${Math.round(100 * share)} %`).join(", ");
  const facts = [row.corpus, row.language, row.speaker && `speaker ${row.speaker}`, (row.clues || []).map((word) => word.replace(":", " ")).join(", ")].filter(Boolean).join(" · ");
  return make("li", {},
    make("p", { class: "id" }, row.id, facts ? ` · ${facts}` : ""),
    plotted(row, audio ? make("audio", { controls: "", preload: "none", src: audio, "aria-label": `Recording ${row.id}` }) : null),
    make("p", { class: "truth" }, row.emotion ? make("strong", {}, row.emotion) : null, votes ? ` (${votes})` : null),
    row.references ? make("details", {}, make("summary", {}, `${row.references.length} reference${row.references.length > 1 ? "s" : ""}`),
      make("ul", {}, row.references.map((text) => make("li", { dir: "auto" }, text)))) : null,
    NAMES.filter((name) => row.systems && row.systems[name]).map((name) => said(name, row.systems[name], row)));
}

function said(name, one, row) {
  const labels = Object.entries(one.labels || {}).map(([method, label]) =>
    make("span", { class: `chip ${label === row.emotion ? "right" : "wrong"}` }, `${label === row.emotion ? "✓" : "✗"} ${label} (${method})`));
  const scores = Object.entries(one.scores || {}).flatMap(([key, value]) => [make("dt", {}, metric(key).title), make("dd", {}, number(value, key))]);
  const likely = Object.entries(one.emotions || {}).sort((a, b) => b[1] - a[1]).slice(0, 4).map(([label, value]) => `${label} ${Math.round(100 * value)} %`).join(", ");
  return make("div", { class: "said", style: { "--colour": colour(name) } },
    make("p", { class: "who" }, name, likely ? ` · ${likely}` : ""),
    make("p", { dir: "auto" }, marked(one.caption, (one.findings || []).map((item) => item.text))),
    make("div", {}, labels),
    one.findings ? make("ul", { class: "findings" }, one.findings.map((item) => make("li", {}, make("strong", {}, `${item.kind}, ${item.type}`), `: ${item.reason}`))) : null,
    scores.length ? make("details", {}, make("summary", {}, "Scores of this caption"), make("dl", {}, scores)) : null);
}

/** The caption with the words marked that findings are about. */
function marked(caption, texts) {
  if (!caption.trim()) return "(empty)";
  const spans = [];
  for (const text of texts.filter(Boolean)) {
    const start = caption.indexOf(text);
    if (start >= 0) spans.push([start, start + text.length]);
  }
  spans.sort((a, b) => a[0] - b[0]);
  const pieces = [];
  let at = 0;
  for (const [start, end] of spans) {
    if (start < at) continue;
    pieces.push(caption.slice(at, start), make("mark", {}, caption.slice(start, end)));
    at = end;
  }
  return [...pieces, caption.slice(at)];
}

function captionTable() {
  const header = ["id", "corpus", "language", "speaker", "emotion", "system", "caption", "lexicon", "likelihood", "findings"];
  const rows = DATA.captions.flatMap((row) => Object.entries(row.systems || {}).map(([name, one]) =>
    [row.id, row.corpus, row.language, row.speaker, row.emotion, name, one.caption, (one.labels || {}).lexicon, (one.labels || {}).likelihood,
      (one.findings || []).map((item) => `${item.type}: ${item.reason}`).join("; ")]));
  return csv([header, ...rows]);
}

function scoreTable() {
  const header = ["system", "part", "name", "metric", "value", "low", "high", "clips"];
  return csv([header, ...DATA.scores.map((one) => header.map((key) => one[key]))]);
}

function reportData() {
  const { audio, contours, order, groups, embedded, clips, ...rest } = DATA;
  return JSON.stringify(rest, null, 1);
}

function theme() {
  const names = ["auto", "light", "dark"];
  const [label, select] = choice("Colours", names.map((name) => [name, name]), () => {
    if (select.value === "auto") delete document.documentElement.dataset.theme;
    else document.documentElement.dataset.theme = select.value;
  });
  label.style.setProperty("display", "flex");
  return label;
}

function page() {
  const sections = [summary(), corpora(), curve(), confusions(), plane(), hallucinations(), coverage(), examples(), scored()].filter(Boolean);
  document.getElementById("main").append(...sections);
  document.getElementById("contents").append(make("ul", {}, sections.map((one) =>
    make("li", {}, make("a", { href: `#${one.id}` }, one.querySelector("h2").textContent)))));
  const known = DATA.rows.map((row) => row.corpus).filter(Boolean);
  document.title = `AlignCap: evaluation of ${NAMES.join(", ")}`;
  document.getElementById("about").textContent = `${NAMES.join(", ")} on ${DATA.clips} clips${known.length ? ` of ${known.join(", ")}` : ""}`;
  document.getElementById("actions").append(
    theme(),
    make("button", { type: "button", onclick: () => download("report.json", "application/json", reportData()) }, "All data (JSON)"),
    make("button", { type: "button", onclick: () => download("scores.csv", "text/csv", scoreTable()) }, "Scores (CSV)"),
    make("button", { type: "button", onclick: () => download("captions.csv", "text/csv", captionTable()) }, "Captions (CSV)"),
    ...(DATA.coverage.length ? [make("button", { type: "button", onclick: () => download("coverage.csv", "text/csv", coverageTable()) }, "Coverage (CSV)")] : []));
  const { seed, resamples, tokenizer, language } = DATA.settings;
  document.getElementById("made").textContent = `Made by aligncap ${DATA.versions.aligncap}. Intervals: ${resamples} bootstrap resamples, over speakers where there are five, else over clips; seed ${seed}. Captions in ${language}, tokenizer ${tokenizer}.`;
}

page();
