// Lines with intervals: scores over amounts of training, and what is wrong over what is told.

const DASHES = [null, "7 4", "2 3", "9 3 2 3"];

/** Numbers that are pleasant to read, about `count` of them between two others. */
function ticksBetween(low, high, count) {
  const rough = (high - low || 1) / count;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 2.5, 5, 10].map((one) => one * power).find((one) => one >= rough);
  const first = Math.ceil(low / step - 1e-9);
  return Array.from({ length: Math.max(0, Math.floor(high / step + 1e-9) - first + 1) }, (_, index) => (first + index) * step);
}

/**
 * lines: {name, colour, points: [{x, y, low, high, mark, title}]}, by rising or falling x. A point with a mark is drawn
 * with its interval, and the mark beside it where there is room.
 */
function linePlot(title, { lines, xTitle, xTicks, log, bounds, describe }) {
  const points = lines.flatMap((line) => line.points);
  const [left, top, height] = [52, 34, 230];
  const width = Math.max(190, Math.min(420, window.innerWidth - 150));
  const values = points.flatMap(({ y, low, high }) => [y, low ?? y, high ?? y]);
  const spare = (Math.max(...values) - Math.min(...values)) * 0.06 || 0.05;
  const low = Math.max(Math.min(...values) - spare, bounds.low ?? -Infinity);
  const high = Math.min(Math.max(...values) + spare, bounds.high ?? Infinity);
  const scale = (value) => (log ? Math.log(value) : value);
  const at = points.map((point) => scale(point.x));
  const [from, to] = bounds.x || [Math.min(...at), Math.max(...at)];
  const x = (value) => left + ((scale(value) - from) / (to - from || 1)) * width;
  const y = (value) => top + height - ((value - low) / (high - low || 1)) * height;
  const grid = ticksBetween(low, high, 5).flatMap((value) => [draw("line", { class: "axis", x1: left, x2: left + width, y1: y(value), y2: y(value) }),
    draw("text", { x: left - 7, y: y(value) + 4, "text-anchor": "end" }, bounds.show(value))]);
  let free = -Infinity;
  const below = xTicks.flatMap(([value, text]) => {
    const half = text.length * 3.4;
    if (x(value) - half < free) return [];
    free = x(value) + half + 8;
    return [draw("line", { class: "axis", x1: x(value), x2: x(value), y1: top + height, y2: top + height + 4 }),
      draw("text", { x: x(value), y: top + height + 18, "text-anchor": "middle" }, text)];
  });
  const taken = [];
  const marks = lines.flatMap((line) => line.points.filter((point) => point.mark !== null && point.mark !== undefined).flatMap((point) => {
    const [across, up] = [x(point.x), y(point.y)];
    const clear = point.mark && !taken.some(([a, b]) => Math.abs(a - across) < 34 && Math.abs(b - up) < 14);
    if (clear) taken.push([across, up]);
    return [
      point.low === null ? null : draw("line", { x1: across, x2: across, y1: y(point.low), y2: y(point.high), style: { stroke: line.colour, "stroke-width": "3", opacity: ".4" } }),
      draw("circle", { cx: across, cy: up, r: 4.5, style: { fill: line.colour } }, draw("title", {}, point.title)),
      clear ? draw("text", { class: "halo", x: across + 7, y: up > top + height - 18 ? up - 7 : up + 15 }, point.mark) : null];
  }));
  const paths = lines.map((line, index) => draw("path", {
    d: line.points.map((point, place) => `${place ? "L" : "M"}${x(point.x).toFixed(1)} ${y(point.y).toFixed(1)}`).join(""),
    "stroke-dasharray": DASHES[index % DASHES.length], style: { fill: "none", stroke: line.colour, "stroke-width": "2" } }));
  return draw("svg", { viewBox: `0 0 ${left + width + 34} ${top + height + 42}`, width: left + width + 34, role: "img", "aria-label": describe },
    draw("text", { class: "strong", x: 0, y: 14 }, title), grid, below,
    draw("text", { x: left + width, y: top + height + 36, "text-anchor": "end" }, xTitle), paths, marks);
}

function interval(low, high, show) {
  return low === null ? "" : `${show(low)} to ${show(high)}`;
}

/** Scores of the systems of a family over their amounts. */
function curve() {
  if (!DATA.curves.length) return null;
  const keys = shownMetrics();
  const main = keys.filter((key) => key.startsWith("uar.") || ["hallucination", "factuality", "faithfulness"].includes(key));
  const families = DATA.curves.map(({ family, points }, index) => ({ name: family, colour: `var(--s${index % 8})`, points }));
  const [partLabel, part] = choice("Scores of", parts().map(([kind, name, text]) => [`${kind}\n${name}`, text]), show);
  const [label, select] = choice("Metric", [["", "recall and hallucination"], ...keys.map((key) => [key, metric(key).title + direction(key)])].filter(([key]) => key || main.length), show);
  const box = make("div", { class: "side" });
  function scored(system, key) {
    const [kind, name] = part.value.split("\n");
    return score(system, kind, name, key) || (kind === "mean" ? score(system, "all", "", key) : null);
  }
  function chart(key) {
    const show_ = (value) => number(value, key);
    const lines = families.map((line) => ({ ...line, points: line.points.map(({ amount, system }) => [amount, scored(system, key)])
      .filter(([, one]) => one).map(([amount, one]) => ({ x: amount, y: one.value, low: one.low, high: one.high, mark: "", title: `${line.name} at ${amount}: ${show_(one.value)} (${interval(one.low, one.high, show_) || "no interval"})` })) }))
      .filter((line) => line.points.length);
    if (!lines.length) return null;
    const amounts = [...new Set(lines.flatMap((line) => line.points.map((point) => point.x)))].sort((a, b) => a - b);
    const { title, low, high } = metric(key);
    const ends = lines.map(({ name, points }) => `${name} from ${show_(points[0].y)} at ${points[0].x} to ${show_(points.at(-1).y)} at ${points.at(-1).x}`);
    return linePlot(title + direction(key), { lines, xTitle: DATA.settings.amount, xTicks: amounts.map((amount) => [amount, String(amount)]),
      log: amounts[0] > 0 && amounts.at(-1) / amounts[0] >= 8, bounds: { low, high, show: (value) => (high === null ? String(+value.toFixed(2)) : value.toFixed(2)) },
      describe: `${title} over ${DATA.settings.amount}: ${ends.join("; ")}; the table has all numbers` });
  }
  function show() {
    const wanted = select.value ? [select.value] : main;
    const rows = families.flatMap(({ name, points }) => points.flatMap(({ amount, system }) => wanted.map((key) => [key, scored(system, key)]).filter(([, one]) => one)
      .map(([key, one]) => [name, amount, metric(key).title + direction(key), { value: one.value, show: number(one.value, key) }, interval(one.low, one.high, (value) => number(value, key)), one.clips])));
    const columns = [{ title: "Family" }, { title: DATA.settings.amount, number: true }, { title: "Metric" }, { title: "Score", number: true }, { title: "95 % interval" }, { title: "Clips", number: true }];
    const charts = wanted.map(chart).filter(Boolean);
    box.replaceChildren(...(charts.length ? charts : [make("p", {}, "No scores here.")]), make("details", {}, make("summary", {}, "The numbers"), sortable("Learning curves", columns, rows)));
  }
  show();
  return section("curve", "Learning curves", `Systems that are named FAMILY@AMOUNT, over the ${DATA.settings.amount}; bars are 95 % intervals.`,
    make("div", { class: "controls" }, partLabel, label), legend(families.map((line) => [line.name, line.colour])), box);
}

/** What abstaining is worth: coverage against what is wrong among what is told, over thresholds of support. */
function coverage() {
  if (!DATA.coverage.length) return null;
  const known = parts().filter(([kind, name]) => DATA.coverage.some((one) => one.part === kind && one.name === name));
  const [label, select] = choice("Scores of", known.map(([kind, name, text]) => [`${kind}\n${name}`, text]), show);
  const box = make("div", { class: "side" });
  const share = (value) => `${(100 * value).toFixed(1)} %`;
  const titles = { captions: "Captions that hallucinate ↓", claims: "Claims that are wrong ↓" };
  function of(kind) {
    return DATA.coverage.filter((one) => one.kind === kind && `${one.part}\n${one.name}` === select.value);
  }
  function chart(kind) {
    const lines = of(kind).map(({ system, points }) => {
      let last = Infinity;
      const drawn = points.filter((point) => point.wrong !== null).map((point) => {
        const far = last - point.coverage >= 0.12;
        if (far) last = point.coverage;
        return { x: point.coverage, y: point.wrong, low: point.wrong_low, high: point.wrong_high, mark: far ? `≥ ${point.threshold}` : null,
          title: `${system}, support of at least ${point.threshold}: ${share(point.coverage)} told, of these ${share(point.wrong)} wrong (${interval(point.wrong_low, point.wrong_high, share)})` };
      });
      return { name: system, colour: colour(system), points: drawn };
    }).filter((line) => line.points.length);
    if (!lines.length) return null;
    const ends = lines.map(({ name, points }) => `${name}: ${share(points[0].y)} wrong where ${share(points[0].x)} is told, ${share(points.at(-1).y)} where ${share(points.at(-1).x)} is`);
    return linePlot(titles[kind], { lines, xTitle: `share of ${kind} told`, xTicks: [0, 0.25, 0.5, 0.75, 1].map((value) => [value, `${100 * value} %`]),
      bounds: { low: 0, high: 1, x: [0, 1], show: (value) => `${+(100 * value).toFixed(1)} %` }, describe: `${ends.join("; ")}; the table has all numbers` });
  }
  function table(kind) {
    const columns = [{ title: "System" }, { title: "Support of at least", number: true }, { title: "Told", number: true }, { title: "Coverage", number: true }, { title: "95 % interval" }, { title: "Wrong", number: true }, { title: "95 % interval" }];
    const rows = of(kind).flatMap(({ system, points }) => points.map((point) => [system, point.threshold, point.told,
      { value: point.coverage, show: share(point.coverage) }, interval(point.coverage_low, point.coverage_high, share),
      { value: point.wrong, show: point.wrong === null ? EMPTY : share(point.wrong) }, interval(point.wrong_low, point.wrong_high, share)]));
    return rows.length ? make("details", {}, make("summary", {}, `The numbers of ${kind}`), sortable(`Coverage of ${kind}`, columns, rows)) : null;
  }
  function show() {
    const kinds = Object.keys(titles);
    box.replaceChildren(...[...kinds.map(chart), ...kinds.map(table)].filter(Boolean));
  }
  show();
  const note = "Captions carry claims with the support that the system itself gives them. Were only those told that have at least some support, how many would be left (to the left: fewer), and how many of them are wrong? "
    + "Of captions, the best supported emotion counts, and a caption that abstains is never told; of claims, each by itself. Numbers beside the points are the support asked for; bars are 95 % intervals.";
  return section("coverage", "Coverage and hallucination", note, make("div", { class: "controls" }, label), legend([...new Set(DATA.coverage.map((one) => one.system))].map((name) => [name, colour(name)])), box);
}

function coverageTable() {
  const header = ["system", "part", "name", "kind", "items", "threshold", "told", "coverage", "coverage_low", "coverage_high", "wrong", "wrong_low", "wrong_high"];
  return csv([header, ...DATA.coverage.flatMap((one) => one.points.map((point) => header.map((key) => (key in point ? point : one)[key])))]);
}
