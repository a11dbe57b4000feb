// Inline SVG: intervals, valence and arousal.

const MOST_DOTS = 800; // of a system: more hide each other, and slow the page
const EMOTION_COLOURS = ["--s1", "--s4", "--s6", "--s9", "--s2", "--s3", "--s7", "--s0", "--s5", "--s8"];

/** Intervals as a forest plot. */
function forest(found) {
  if (!found.length) return make("p", {}, "No scores here.");
  const bounded = metric(found[0].metric).high !== null && found.every((one) => one.value <= 1 && one.value >= 0);
  const low = bounded ? 0 : Math.min(0, ...found.map((one) => one.low ?? one.value));
  const high = bounded ? 1 : Math.max(...found.map((one) => one.high ?? one.value)) * 1.05 || 1;
  const names = [...new Set(found.map((one) => `${one.part}\n${one.name}`))];
  const [left, width, step, gap] = [140, Math.max(150, Math.min(330, window.innerWidth - 250)), 18, 10];
  const x = (value) => left + ((value - low) / (high - low)) * width;
  let y = 14;
  const marks = [];
  for (const name of names) {
    const rows = found.filter((one) => `${one.part}\n${one.name}` === name);
    marks.push(draw("text", { x: left - 10, y: y + (rows.length * step) / 2 + 4, "text-anchor": "end", class: "strong" }, (name.split("\n")[1] || partName({ part: name.split("\n")[0] })).slice(0, 20)));
    for (const one of rows) {
      const middle = y + step / 2;
      if (one.low !== null) marks.push(draw("line", { x1: x(one.low), x2: x(one.high), y1: middle, y2: middle, style: { stroke: colour(one.system), "stroke-width": "3", opacity: ".5" } }));
      marks.push(draw("circle", { cx: x(one.value), cy: middle, r: 5, style: { fill: colour(one.system) } }, draw("title", {}, `${one.system}: ${number(one.value, one.metric)}`)));
      y += step;
    }
    y += gap;
  }
  const ticks = (width < 250 ? [0, 0.5, 1] : [0, 0.25, 0.5, 0.75, 1]).map((share) => low + share * (high - low));
  const axis = ticks.flatMap((tick) => [draw("line", { class: "axis", x1: x(tick), x2: x(tick), y1: 6, y2: y }),
    draw("text", { x: x(tick), y: y + 16, "text-anchor": "middle" }, number(tick, found[0].metric).replace(/(\.\d\d)\d$/, "$1"))]);
  return make("div", {}, legend(NAMES.map((name) => [name, colour(name)])),
    draw("svg", { viewBox: `0 0 ${left + width + 20} ${y + 24}`, width: left + width + 20, role: "img", "aria-label": `${metric(found[0].metric).title} with 95 % intervals; the table beside it has the numbers` }, axis, marks));
}

function legend(items) {
  return make("ul", { class: "legend" }, items.map(([name, fillColour]) => make("li", {}, make("i", { style: { background: fillColour } }), name)));
}

/** What captions say, in the plane of valence and arousal, coloured by what is true. */
function plane() {
  const known = DATA.captions.filter((row) => row.point && row.emotion);
  if (!known.length) return null;
  const emotions = [...new Set(known.map((row) => row.emotion))].sort();
  const hue = (emotion) => `var(${EMOTION_COLOURS[emotions.indexOf(emotion) % EMOTION_COLOURS.length]})`;
  const shape = (emotion) => Math.floor(emotions.indexOf(emotion) / EMOTION_COLOURS.length);
  const [corpusLabel, corpus] = choice("Corpus", [["", "all"], ...[...new Set(known.map((row) => row.corpus || ""))].filter(Boolean).sort().map((name) => [name, name])], show);
  const [emotionLabel, emotion] = choice("True emotion", [["", "all"], ...emotions.map((name) => [name, name])], show);
  const box = make("div", { class: "side" });
  function show() {
    const rows = known.filter((row) => (!corpus.value || row.corpus === corpus.value) && (!emotion.value || row.emotion === emotion.value));
    box.replaceChildren(...NAMES.map((system) => scatter(system, rows.filter((row) => row.systems && row.systems[system]), hue, shape)));
  }
  show();
  const cut = DATA.embedded < DATA.clips ? ` Of ${DATA.clips} clips, ${DATA.embedded} are in this file.` : "";
  return section("plane", "Valence and arousal", `Each dot is a caption, where its emotion words lie by our taxonomy's values, coloured by the true emotion; rings are where that lies itself. Dots are shaken a little so that equal ones show; of many captions, ${MOST_DOTS} or fewer are drawn.${cut}`,
    make("div", { class: "controls" }, corpusLabel, emotionLabel), legend(emotions.map((name) => [name, hue(name)])), box);
}

function scatter(system, rows, hue, shape) {
  const [size, margin] = [Math.max(220, Math.min(340, window.innerWidth - 130)), 34];
  const x = (value) => margin + ((value + 1) / 2) * size;
  const y = (value) => margin + ((1 - value) / 2) * size;
  const random = numbers(1);
  const shaken = () => (random() + random() - 1) * 0.09;
  const axes = [draw("rect", { x: margin, y: margin, width: size, height: size, class: "axis", style: { fill: "none" } }),
    draw("line", { class: "axis", x1: x(0), x2: x(0), y1: y(-1), y2: y(1) }), draw("line", { class: "axis", x1: x(-1), x2: x(1), y1: y(0), y2: y(0) }),
    draw("text", { x: x(1), y: y(-1) + 18, "text-anchor": "end" }, "pleasant →"), draw("text", { x: x(-1), y: y(-1) + 18 }, "← unpleasant"),
    draw("text", { x: x(-1), y: y(1) - 8 }, "↑ excited"), draw("text", { x: x(1), y: y(1) - 8, "text-anchor": "end" }, system)];
  const step = Math.ceil(rows.length / MOST_DOTS);
  const dots = rows.filter((_, index) => index % step === 0).map((row) => {
    const [valence, arousal] = row.systems[system].point;
    const [left, top] = [x(valence + shaken()), y(arousal + shaken())];
    const style = { fill: hue(row.emotion), opacity: ".55" };
    return shape(row.emotion) ? draw("rect", { x: left - 3, y: top - 3, width: 6, height: 6, class: "edge", style }) : draw("circle", { cx: left, cy: top, r: 3.5, class: "edge", style });
  });
  const true_ = new Map(rows.map((row) => [`${row.emotion}\n${row.point}`, row]));
  const rings = [...true_.values()].map((row) => draw("circle", { cx: x(row.point[0]), cy: y(row.point[1]), r: 8, style: { fill: "none", stroke: hue(row.emotion), "stroke-width": "2.5" } }, draw("title", {}, row.emotion)));
  return draw("svg", { viewBox: `0 0 ${size + 2 * margin} ${size + 2 * margin}`, width: size + 2 * margin, role: "img", "aria-label": `${system}: ${rows.length} captions by valence and arousal` }, axes, dots, rings);
}

/** Numbers in [0, 1) that are the same each time (mulberry32). */
function numbers(seed) {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4294967296;
  };
}
