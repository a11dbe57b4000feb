// Inline SVG: waveform, pitch and level of a stretch; emotions over time. The numbers stand in tables beside them.
import { draw, make, percent, seconds } from "./elements.js";

const [WIDTH, LEFT, RIGHT] = [640, 62, 10];

/** Waveform, pitch and level of one stretch. */
export function voice(caption) {
  const { curves, wave } = caption.evidence;
  const span = caption.end - caption.start;
  const x = (time) => LEFT + (time / span) * (WIDTH - LEFT - RIGHT);
  const loudest = Math.max(1e-6, ...wave.high.map(Math.abs), ...wave.low.map(Math.abs));
  const outline = ["M", ...wave.high.map((value, i) => `${x(((i + 0.5) * span) / wave.high.length)} ${45 - (value / loudest) * 34}`),
    ...wave.low.map((value, i) => `${x(((i + 0.5) * span) / wave.low.length)} ${45 - (value / loudest) * 34}`).reverse()].join(" L").replace("M L", "M");
  const heard = curves.f0_hz.filter((value) => value !== null);
  const [low, high] = heard.length ? [Math.min(...heard) * 0.9, Math.max(...heard) * 1.1] : [75, 300];
  const pitch = (hz) => 215 - (Math.log(hz / low) / Math.log(high / low)) * 105;
  const dots = curves.f0_hz.flatMap((hz, i) => (hz === null ? [] : [draw("circle", { cx: x(i * curves.hop), cy: pitch(hz), r: 1.6, class: "pitch" })]));
  const level = (db) => 320 - ((Math.max(db, -60) + 60) / 60) * 80;
  const line = curves.level_db.map((db, i) => `${i ? "L" : "M"}${x(i * curves.hop)} ${level(db)}`).join("");
  const hz = [60, 75, 100, 125, 150, 175, 200, 225, 250, 300, 350, 400, 500, 600].filter((value) => value > low && value < high).filter((_, i, all) => all.length < 6 || i % 2 === 0);
  const ticks = times(caption.start, caption.end).map((time) => [
    draw("line", { class: "axis", x1: x(time - caption.start), x2: x(time - caption.start), y1: 8, y2: 324 }),
    draw("text", { x: x(time - caption.start), y: 340, "text-anchor": "middle" }, `${time}`)]);
  const middle = heard.length ? `pitch between ${Math.round(Math.min(...heard))} and ${Math.round(Math.max(...heard))} Hz` : "no pitch found";
  return draw("svg", { viewBox: `0 0 ${WIDTH} 362`, role: "img", "aria-label": `Waveform, pitch and loudness from ${seconds(caption.start)} to ${seconds(caption.end)}: ${middle}` },
    ticks,
    draw("path", { d: outline, class: "wave" }),
    hz.map((value) => [draw("line", { class: "axis", x1: LEFT, x2: WIDTH - RIGHT, y1: pitch(value), y2: pitch(value) }),
      draw("text", { x: LEFT - 6, y: pitch(value) + 4, "text-anchor": "end" }, value)]),
    heard.length ? dots : draw("text", { x: (LEFT + WIDTH) / 2, y: 165, "text-anchor": "middle" }, "no voice found"),
    [-60, -30, 0].map((value) => [draw("line", { class: "axis", x1: LEFT, x2: WIDTH - RIGHT, y1: level(value), y2: level(value) }),
      draw("text", { x: LEFT - 6, y: level(value) + 4, "text-anchor": "end" }, value)]),
    draw("path", { d: line, class: "level" }),
    label("wave", 45), label("pitch, Hz", 162), label("level, dB", 280),
    draw("text", { x: WIDTH - RIGHT, y: 357, "text-anchor": "end" }, "seconds"));
}

const label = (text, y) => draw("text", { x: 12, y, "text-anchor": "middle", transform: `rotate(-90 12 ${y})`, class: "strong" }, text);

/** Round times inside a span, at most about ten. */
function times(start, end) {
  const step = [0.2, 0.5, 1, 2, 5, 10, 30, 60, 120, 300].find((one) => (end - start) / one <= 10) || 600;
  const first = Math.ceil(start / step - 1e-9);
  return Array.from({ length: Math.max(0, Math.floor(end / step + 1e-9) - first + 1) }, (_, i) => Number(((first + i) * step).toFixed(2)));
}

/** Emotions of a recording over time, one band above the other; each stretch is as wide as it is long. */
export function timeline(captions, emotions) {
  const [start, end] = [captions[0].start, captions.at(-1).end];
  const x = (time) => LEFT + ((time - start) / (end - start)) * (WIDTH - LEFT - RIGHT);
  const bands = captions.map((caption) => {
    let top = 0;
    return emotions.map((emotion, index) => {
      const share = caption.emotions[emotion] || 0;
      const band = draw("rect", { x: x(caption.start), width: Math.max(0, x(caption.end) - x(caption.start) - 1), y: 10 + top * 180, height: share * 180, class: `band e${index % 10}` },
        draw("title", {}, `${seconds(caption.start)} to ${seconds(caption.end)}: ${emotion} ${percent(share)}`));
      top += share;
      return band;
    });
  });
  const said = captions.map((caption) => `${Object.keys(caption.emotions)[0]} at ${seconds(caption.start)}`).slice(0, 12).join(", ");
  return make("div", {},
    draw("svg", { viewBox: `0 0 ${WIDTH} 230`, role: "img", "aria-label": `Probabilities of the emotions over time; likeliest: ${said}. The table below has the numbers` },
      bands,
      [0, 0.5, 1].map((share) => draw("text", { x: LEFT - 6, y: 194 - share * 180, "text-anchor": "end" }, percent(share))),
      times(start, end).map((time) => draw("text", { x: x(time), y: 208, "text-anchor": "middle" }, `${time}`)),
      draw("text", { x: WIDTH - RIGHT, y: 225, "text-anchor": "end" }, "seconds")),
    make("ul", { class: "legend" }, emotions.map((emotion, index) => make("li", {}, make("i", { class: `e${index % 10}`, "aria-hidden": "true" }), emotion))));
}
