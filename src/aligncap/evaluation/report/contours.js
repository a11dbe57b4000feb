// Pitch and level of a clip over time, beside its captions.

/** The player and the plot of a clip, as far as there are any; a line in the plot follows the player. */
function plotted(row, player) {
  const found = DATA.contours[row.id];
  if (!found) return [player];
  const [plot, cursor] = contourPlot(found);
  if (player) player.addEventListener("timeupdate", () => {
    const place = plot.x(player.currentTime);
    cursor.setAttribute("x1", place);
    cursor.setAttribute("x2", place);
    cursor.style.setProperty("visibility", player.currentTime ? "visible" : "hidden");
  });
  const text = voiceInWords(found);
  plot.svg.setAttribute("aria-label", text);
  return [player, make("figure", { class: "voice" }, plot.svg, make("figcaption", {}, text))];
}

function contourPlot({ seconds, pitch, level }) {
  const [left, right, top, middle, bottom, width, height] = [34, 6, 6, 64, 92, 360, 112];
  const x = (time) => left + (time / (seconds || 1)) * (width - left - right);
  const at = (index, count) => x(((index + 0.5) / count) * seconds);
  const heard = pitch.filter((value) => value !== null);
  const [low, high] = pitchRange(heard);
  const y = (hz) => middle - ((Math.log2(hz) - Math.log2(low)) / (Math.log2(high) - Math.log2(low))) * (middle - top);
  const loud = (db) => bottom - (Math.max(0, db + 50) / 50) * (bottom - middle - 4);
  const area = level.map((value, index) => `L${at(index, level.length).toFixed(1)} ${loud(value).toFixed(1)}`).join("");
  const ticks = heard.length ? [75, 100, 150, 200, 300, 400, 600].filter((hz) => hz >= low && hz <= high) : [];
  const step = [0.5, 1, 2, 5, 10, 30, 60, 300].find((value) => seconds / value <= 6) || 600;
  const times = Array.from({ length: Math.floor(seconds / step + 1e-6) + 1 }, (_, index) => index * step);
  const cursor = draw("line", { y1: top, y2: bottom, class: "cursor", style: { visibility: "hidden" } });
  const svg = draw("svg", { viewBox: `0 0 ${width} ${height}`, role: "img" },
    ticks.flatMap((hz) => [draw("line", { class: "axis", x1: left, x2: width - right, y1: y(hz), y2: y(hz) }),
      draw("text", { x: left - 5, y: y(hz) + 3.5, "text-anchor": "end" }, String(hz))]),
    draw("line", { class: "axis", x1: left, x2: width - right, y1: bottom, y2: bottom }),
    times.map((time) => draw("text", { x: x(time), y: bottom + 14, "text-anchor": time ? "middle" : "start" }, `${time} s`)),
    draw("path", { class: "level", d: `M${left} ${bottom}${area}L${width - right} ${bottom}Z` }),
    draw("path", { class: "pitch", d: pitchLines(pitch, (index) => at(index, pitch.length), y) }),
    cursor);
  return [{ svg, x }, cursor];
}

/** At least an octave, so that a monotone looks like one. */
function pitchRange(heard) {
  if (!heard.length) return [100, 200];
  const [low, high] = [Math.min(...heard), Math.max(...heard)];
  const spare = Math.max(0.08, (1 - Math.log2(high / low)) / 2);
  return [low / 2 ** spare, high * 2 ** spare];
}

/** A line for each voiced stretch; a single point is a short dash. */
function pitchLines(pitch, x, y) {
  return pitch.map((hz, index) => {
    if (hz === null) return "";
    const place = `${x(index).toFixed(1)} ${y(hz).toFixed(1)}`;
    const alone = (pitch[index - 1] ?? null) === null && (pitch[index + 1] ?? null) === null;
    return (pitch[index - 1] ?? null) === null ? `M${place}${alone ? "h1.5" : ""}` : `L${place}`;
  }).join("");
}

/** What the plot shows, for those who do not see it. */
function voiceInWords({ seconds, pitch, level }) {
  const heard = pitch.filter((hz) => hz !== null).sort((a, b) => a - b);
  const length = `${seconds.toFixed(1)} s`;
  if (!heard.length) return `${length}; no voice found`;
  const share = (part) => heard[Math.round(part * (heard.length - 1))];
  const third = (start) => level.slice(Math.round((start * level.length) / 3), Math.round(((start + 1) * level.length) / 3));
  const mean = (values) => values.reduce((sum, value) => sum + value, 0) / (values.length || 1);
  const loudest = [0, 1, 2].map((start) => mean(third(start)));
  const where = ["at the beginning", "in the middle", "at the end"][loudest.indexOf(Math.max(...loudest))];
  return `Pitch ${share(0.1)} to ${share(0.9)} Hz, median ${share(0.5)} Hz, over ${length}; loudest ${where}`;
}
