// Summary, corpora, comparisons, confusion matrices, hallucination, problems.

const EMPTY = "–";

/** Value, interval, and where it lies in the metric's range. */
function shownScore(one, best) {
  if (!one) return EMPTY;
  const { low, high } = metric(one.metric);
  const parts = [make("span", { class: "value" }, number(one.value, one.metric))];
  if (one.low !== null && high !== null) {
    const place = (value) => `${(100 * (Math.min(Math.max(value, low), high) - low)) / (high - low)}%`;
    const width = `${(100 * (Math.min(one.high, high) - Math.max(one.low, low))) / (high - low)}%`;
    parts.push(make("span", { class: "track", "aria-hidden": "true" },
      make("i", { style: { left: place(one.low), width } }), make("b", { style: { left: place(one.value) } })));
  }
  if (one.low !== null) {
    parts.push(make("span", { class: "bounds" }, `${number(one.low, one.metric)} to ${number(one.high, one.metric)}`));
  }
  return make("div", { class: best ? "best" : null }, parts);
}

function bestOf(values, better) {
  const known = values.filter((value) => value !== null);
  if (known.length < 2 || better === null) return null;
  return better ? Math.max(...known) : Math.min(...known);
}

function direction(name) {
  const better = metric(name).higher_is_better;
  return better === null ? "" : better ? " ↑" : " ↓";
}

function summary() {
  const all = parts();
  const [label, select] = choice("Scores of", all.map(([part, name, text]) => [`${part}\n${name}`, text]), show);
  const box = make("div", { class: "side" });
  function show() {
    const [part, name] = select.value.split("\n");
    const comparison = (system, metricName) =>
      DATA.comparisons.find((one) => one.other === system && one.metric === metricName && one.part === part && one.name === name);
    const head = () => make("tr", {}, make("td", {}), NAMES.map((system) =>
      make("th", { scope: "col" }, make("span", { class: "dot", style: { background: colour(system) } }), system)));
    const tables = DATA.groups.map(([heading, names]) => {
      const rows = names.filter(metric).map((key) => {
        const scores = NAMES.map((system) => score(system, part, name, key) || (part === "mean" ? score(system, "all", "", key) : null));
        if (!scores.some(Boolean)) return null;
        const best = bestOf(scores.map((one) => (one ? one.value : null)), metric(key).higher_is_better);
        const cells = scores.map((one, index) =>
          make("td", {}, shownScore(one, one && one.value === best), differenceOf(comparison(NAMES[index], key), key)));
        return make("tr", {}, make("th", { scope: "row", title: metric(key).source || null }, metric(key).title + direction(key)), cells);
      }).filter(Boolean);
      return rows.length ? scroll(`${heading}: table`, make("table", {}, make("caption", {}, heading), make("thead", {}, head()), make("tbody", {}, rows))) : null;
    });
    box.replaceChildren(...tables.filter(Boolean));
  }
  show();
  const scored = DATA.systems.map((system) => `${system.name}: ${system.scored} of ${system.rows} clips scored`).join("; ");
  const note = `${scored}. ↑ higher is better, ↓ lower is better; the best is underlined. Intervals are of 95 %. Metrics of a whole set of captions are over all clips, and have no interval.`
    + (NAMES.length > 1 ? ` Differences are from ${NAMES[0]}, on the clips that both described, with the p of a single paired test.` : "");
  return section("summary", "Summary", note, make("div", { class: "controls" }, label), box);
}

function differenceOf(one, name) {
  if (!one) return null;
  const better = metric(name).higher_is_better;
  const sure = one.low > 0 || one.high < 0;
  const kind = better === null || !sure ? "" : one.difference > 0 === better ? "better" : "worse";
  const size = number(Math.abs(one.difference), name);
  const sign = Number(size) === 0 ? "" : one.difference > 0 ? "+" : "−";
  const p = one.p < 0.001 ? "< 0.001" : one.p.toFixed(3);
  return make("span", { class: `difference ${kind}` }, `${sign}${size} (p ${p})`);
}

function corpora() {
  const names = [...new Set(DATA.scores.filter((one) => one.part === "corpus").map((one) => one.name))];
  const languages = [...new Set(DATA.scores.filter((one) => one.part === "language").map((one) => one.name))];
  const keys = shownMetrics();
  if (!names.length) return null;
  const [label, select] = choice("Metric", keys.map((key) => [key, metric(key).title + direction(key)]), show);
  const box = make("div", { class: "side" });
  function show() {
    const rows = [...parts().filter(([part]) => ["mean", "all"].includes(part)), ...names.map((name) => ["corpus", name]), ...languages.map((name) => ["language", name])];
    const found = rows.flatMap(([part, name]) => NAMES.map((system) => score(system, part, name, select.value)).filter(Boolean));
    const columns = [{ title: "Part" }, { title: "System" }, { title: metric(select.value).title, number: true },
      { title: "95 % interval" }, { title: "Clips", number: true }];
    const body = found.map((one) => [partName(one), one.system, { value: one.value, show: number(one.value, one.metric) },
      one.low === null ? "" : `${number(one.low, one.metric)} to ${number(one.high, one.metric)}`, one.clips]);
    box.replaceChildren(forest(found), sortable(`${metric(select.value).title}, part by part`, columns, body));
  }
  show();
  return section("corpora", "By corpus and language", null, make("div", { class: "controls" }, label), box);
}

function confusions() {
  if (!DATA.confusions.length) return null;
  const list = (key) => [...new Set(DATA.confusions.map((one) => one[key]))];
  const [corpusLabel, corpus] = choice("Corpus", list("corpus").map((name) => [name, name || "(none)"]), show);
  const [methodLabel, method] = choice("Label of a caption by", list("method").map((name) => [name, name]), show);
  const note = make("p", { class: "note" });
  const box = make("div", { class: "side" });
  function show() {
    note.textContent = `By ${method.value}: ${DATA.methods[method.value]}. Rows are the true labels; the number is a share of the row.`;
    const found = DATA.confusions.filter((one) => one.corpus === corpus.value && one.method === method.value);
    box.replaceChildren(...found.flatMap((one) => [matrix(one), classes(one)]));
    if (!found.length) box.replaceChildren(make("p", {}, "No system has labels of this kind here."));
  }
  show();
  return section("confusions", "Confusion matrices", null, make("div", { class: "controls" }, corpusLabel, methodLabel), note, box);
}

function matrix(one) {
  const head = make("tr", {}, make("th", { class: "corner", scope: "col" }, "true \\ named"), one.columns.map((name) => make("th", { scope: "col" }, name)));
  const rows = one.labels.map((label, row) => {
    const total = one.counts[row].reduce((sum, count) => sum + count, 0);
    const cells = one.counts[row].map((count, column) => {
      const share = total ? count / total : 0;
      const name = `${count} of ${total} ${label} clips named ${one.columns[column]}`;
      return make("td", { class: one.columns[column] === label ? "hit" : null, style: { "--share": share }, title: name },
        count ? `${Math.round(100 * share)}` : "·");
    });
    return make("tr", {}, make("th", { scope: "row" }, label), cells);
  });
  return scroll(`Confusion matrix of ${one.system}`, make("table", { class: "confusion" },
    make("caption", {}, `${one.system}: % of each row`), make("thead", {}, head), make("tbody", {}, rows)));
}

function classes(one) {
  const columns = ["Label", "Precision", "Recall", "F1", "Clips"].map((title, index) => ({ title, number: index > 0 }));
  const rows = one.classes.map((row) => [row.label, ...["precision", "recall", "f1"].map((key) => ({ value: row[key], show: row[key].toFixed(2) })), row.clips]);
  return sortable(`${one.system}: label by label`, columns, rows);
}

function hallucinations() {
  if (!metric("hallucination")) return null;
  const keys = ["corpus", "kind", "type"];
  const rows = new Map();
  for (const one of DATA.hallucinations) {
    const id = keys.map((key) => one[key]).join("\n");
    rows.set(id, { ...(rows.get(id) || { name: keys.map((key) => one[key]) }), [`at ${one.system}`]: one });
  }
  const columns = [{ title: "Corpus" }, { title: "Kind" }, { title: "Type" }, ...NAMES.map((title) => ({ title, number: true }))];
  const body = [...rows.values()].map((row) => [...row.name, ...NAMES.map((system) => {
    const one = row[`at ${system}`];
    const share = one ? one.share : 0;
    return { value: share, show: make("span", { class: "bars", title: `${one ? one.captions : 0} captions` }, `${(100 * share).toFixed(1)} %`,
      make("i", { "aria-hidden": "true" }, make("b", { style: { width: `${100 * share}%`, background: colour(system) } }))) };
  })]);
  const judged = DATA.systems.every((system) => system.voice_judged === 0)
    ? " The manifest has no measured clues, so nothing that captions say of the voice was judged."
    : "";
  const note = `Share of the captions with at least one finding of each type. A caption that names no emotion (no_emotion) left something out; it does not count as hallucination.${judged}`;
  return section("hallucination", "Hallucination", note,
    body.length ? sortable("Findings by corpus and type", columns, body) : make("p", {}, "Nothing was found."));
}

function scored() {
  const columns = ["Corpus", "Clips", "Speakers", "With emotion", "With votes", "With references", "Languages", "Splits"];
  const numbers = ["clips", "speakers", "with_emotion", "with_votes", "with_references"];
  const rows = DATA.rows.map((row) => [row.corpus || "(none)", ...numbers.map((key) => row[key]), row.languages.join(", "), row.splits.join(", ")]);
  const table = sortable("Rows by corpus", columns.map((title, index) => ({ title, number: index > 0 && index < 6 })), rows);
  const problems = [...DATA.notes.map((note) => ["(rows)", note]), ...DATA.systems.flatMap((system) => system.notes.map((note) => [system.name, note]))];
  const shown = problems.slice(0, 500).map(([system, note]) => [system, note.kind, note.id, note.message]);
  const more = problems.length > shown.length ? ` The first ${shown.length} of ${problems.length} are listed; the JSON has all.` : "";
  const note = DATA.systems.map((system) =>
    `${system.name}: ${system.scored} of ${system.rows} rows scored, from ${system.lines} lines`
    + (system.by_path ? `, ${system.by_path} matched by the name of the recording` : "")).join(". ");
  return section("scored", "What was scored", `${note}.${more}`, table,
    shown.length ? [make("h3", {}, "Problems"), sortable("Problems", ["System", "Kind", "Id", "What"].map((title) => ({ title })), shown)]
      : make("p", {}, "Every row was scored for every system, and nothing was wrong."));
}
