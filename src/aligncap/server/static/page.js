import { by, download, make, percent, seconds, table, theme } from "./elements.js";
import { timeline, voice } from "./pictures.js";
import { Recorder } from "./recorder.js";

let recording = null; // the file that will be sent
let running = null; // of the requests that are under way
let address = null; // of what the player plays
let playing = 0;

const recorder = new Recorder({
  started() {
    by("record").textContent = "Stop recording";
    by("record").classList.add("on");
    say("Recording. Press Stop recording when you are done.");
  },
  ticked: (passed) => (by("timer").textContent = seconds(passed)),
  ended(file) {
    by("record").textContent = "Record";
    by("record").classList.remove("on");
    choose(file);
    say("Recorded.");
  },
  failed: complain,
});

function say(text) {
  by("status").textContent = text;
}

function complain(text) {
  by("error").textContent = text;
  if (text) say("");
}

function choose(file) {
  recording = file;
  complain("");
  by("chosen").textContent = `${file.name} (${(file.size / 2 ** 20).toFixed(2)} MiB)`;
  if (address) URL.revokeObjectURL(address);
  address = URL.createObjectURL(file);
  by("player").src = address;
  by("player").hidden = false;
}

async function ask(prompt, signal) {
  const body = new FormData();
  body.append("file", recording, recording.name);
  body.append("prompt", prompt);
  body.append("num_captions", by("num_captions").value);
  if (by("seed").value !== "") body.append("seed", by("seed").value);
  body.append("verify", by("verify").checked);
  body.append("evidence", "true");
  const key = by("key").value.trim();
  const headers = key ? { Authorization: `Bearer ${key}` } : {};
  const answer = await fetch("/v1/captions", { method: "POST", body, headers, signal });
  const record = await answer.json().catch(() => ({ error: { message: `the server answered ${answer.status}` } }));
  if (answer.status === 401) by("key").closest("details").open = true;
  if (!answer.ok) throw new Error(record.error.message);
  return { prompt, ...record };
}

async function submit(event) {
  event.preventDefault();
  complain("");
  if (recorder.active) return complain("Stop recording first.");
  if (!recording) {
    by("file").focus();
    return complain("Choose a recording, or record one, first.");
  }
  const prompts = [...new Set([by("prompt").value, by("second").value].map((prompt) => prompt.trim()).filter(Boolean))];
  if (!prompts.length) return complain("The prompt is empty: say what to describe.");
  running = new AbortController();
  busy(true);
  by("results").replaceChildren();
  say("Listening …");
  try {
    const answers = await Promise.all(prompts.map((prompt) => ask(prompt, running.signal)));
    show(answers);
    const count = answers[0].captions.length;
    say(`Done: ${count} ${count === 1 ? "stretch" : "stretches"}.`);
    by("results").focus({ preventScroll: true });
    by("results").scrollIntoView({ behavior: matchMedia("(prefers-reduced-motion: reduce)").matches ? "auto" : "smooth" });
  } catch (error) {
    const gone = error instanceof TypeError ? "the server cannot be reached" : error.message;
    complain(error.name === "AbortError" ? "Stopped." : `It could not be captioned: ${gone}.`);
    running.abort();
  } finally {
    busy(false);
  }
}

function busy(on) {
  by("go").disabled = on;
  by("stop").hidden = !on;
  by("main").setAttribute("aria-busy", on);
}

function show(answers) {
  const captions = answers[0].captions;
  const emotions = [...new Set(captions.flatMap((caption) => Object.keys(caption.emotions)))].sort();
  const faults = answers.flatMap((answer) => answer.errors.map((one) => make("p", { class: "fault" }, `${one.id}: ${one.error.message}`)));
  by("results").replaceChildren(
    make("section", { "aria-labelledby": "captions-title" },
      make("div", { class: "head" }, make("h2", { id: "captions-title" }, answers.length > 1 ? "Captions compared" : "Captions"),
        make("button", { type: "button", onclick: () => download("captions.json", "application/json", JSON.stringify(answers, null, 2)) }, "Download (JSON)")),
      answers.length > 1 ? compared(answers) : null,
      captions.length > 1 ? over(captions, emotions) : null,
      faults),
    ...captions.map((caption, place) => stretch(caption, place, answers)));
}

function compared(answers) {
  const rows = answers[0].captions.map((caption, place) => [
    `${seconds(caption.start)} to ${seconds(caption.end)}`,
    ...answers.map((answer) => (answer.captions[place] ? answer.captions[place].caption : "(none)"))]);
  return table("What each prompt brought", ["stretch", ...answers.map((answer) => answer.prompt)], rows);
}

function over(captions, emotions) {
  const rows = captions.map((caption) => [`${seconds(caption.start)} to ${seconds(caption.end)}`, ...emotions.map((emotion) => percent(caption.emotions[emotion] || 0))]);
  return make("div", {}, make("h3", {}, "Emotions over time"), timeline(captions, emotions),
    make("details", {}, make("summary", {}, "As a table"), table("Probabilities over time", ["stretch", ...emotions], rows)));
}

function stretch(caption, place, answers) {
  const title = `stretch-${place}`;
  const where = `${seconds(caption.start)} to ${seconds(caption.end)}`;
  const others = answers.slice(1).map((answer) => answer.captions[place]).filter(Boolean);
  return make("section", { "aria-labelledby": title },
    make("div", { class: "head" }, make("h2", { id: title }, where),
      make("button", { type: "button", onclick: () => play(caption.start, caption.end), "aria-label": `Play ${where}` }, "Play")),
    written(caption, answers[0].prompt),
    others.map((one, index) => written(one, answers[index + 1].prompt)),
    make("div", { class: "side" },
      make("div", {}, make("h3", {}, "Voice"), voice(caption), measured(caption, where)),
      make("div", {}, probabilities(caption, where), claims(caption, where))));
}

/** A caption with its claims marked, and what else was said. */
function written(caption, prompt) {
  const notes = [
    ...(caption.doubts || []).map((text) => `Doubtful: ${text}`),
    ...(caption.warnings || []).map((text) => `Note: ${text}`)];
  return make("div", { class: "said" },
    make("p", { class: "who" }, prompt),
    make("p", { class: "text" }, marked(caption)),
    (caption.alternatives || []).map((text) => make("p", { class: "or" }, `or: ${text}`)),
    notes.length ? make("ul", { class: "findings" }, notes.map((text) => make("li", {}, text))) : null);
}

function marked(caption) {
  const parts = [];
  const letters = [...caption.caption]; // claims count characters, not UTF-16 units
  let at = 0;
  for (const claim of caption.evidence.claims) {
    if (claim.start < at) continue;
    parts.push(letters.slice(at, claim.start).join(""));
    const hint = claim.supported ? "supported" : `not supported: ${claim.reason}`;
    parts.push(make("mark", { class: claim.supported ? "good" : "bad", title: hint }, letters.slice(claim.start, claim.end).join("")));
    at = claim.end;
  }
  return [...parts, letters.slice(at).join("")];
}

function probabilities(caption, where) {
  const rows = Object.entries(caption.emotions).map(([emotion, share]) => [
    emotion,
    make("span", { class: "bars" }, make("span", { class: "track", "aria-hidden": "true" }, make("i", { style: { width: `${100 * share}%` } })), percent(share))]);
  return table("Probabilities", ["emotion", "probability"], rows, where);
}

function claims(caption, where) {
  const found = caption.evidence.claims;
  if (!found.length) return make("p", { class: "note" }, "The caption claims nothing that can be compared.");
  const rows = found.map((claim) => [
    claim.text,
    (claim.negated ? "not " : "") + claim.target.replace(":", ": ") + (claim.strength < 1 ? " (hedged)" : ""),
    claim.supported ? "✓ supported" : `✗ ${claim.reason}`]);
  return table("What the caption claims", ["words", "claim", "evidence"], rows, where);
}

function measured(caption, where) {
  const { measured: numbers, words } = caption.evidence;
  const rows = Object.entries(numbers).filter(([name]) => name !== "words").map(([name, value]) => [name.replaceAll("_", " "), value === null ? "not measurable" : String(value)]);
  return make("div", {},
    make("p", { class: "note" }, words.length ? `Out of the ordinary: ${words.join(", ")}.` : "Nothing in this voice is out of the ordinary."),
    make("p", { class: "note" }, `Told to the model: ${caption.clues}`),
    make("details", {}, make("summary", {}, "All measurements"), table("Measured", ["clue", "value"], rows, where)));
}

function play(start, end) {
  const player = by("player");
  const turn = ++playing;
  const watch = () => {
    if (turn !== playing) return player.removeEventListener("timeupdate", watch);
    if (player.currentTime >= end) {
      player.pause();
      player.removeEventListener("timeupdate", watch);
    }
  };
  player.addEventListener("timeupdate", watch);
  player.currentTime = start;
  player.play().catch(() => complain("This browser cannot play that format; the captions are not concerned."));
}

async function begin() {
  theme(by("theme"));
  by("form").addEventListener("submit", submit);
  by("stop").addEventListener("click", () => running && running.abort());
  by("file").addEventListener("change", () => by("file").files[0] && choose(by("file").files[0]));
  by("record").addEventListener("click", () => (recorder.active ? recorder.stop() : recorder.start()));
  const drop = by("drop");
  drop.addEventListener("dragover", (event) => event.preventDefault());
  drop.addEventListener("drop", (event) => {
    event.preventDefault();
    if (event.dataTransfer.files[0]) choose(event.dataTransfer.files[0]);
  });
  const answer = await fetch("/v1/info");
  const info = await answer.json();
  by("prompts").append(...info.prompts.map((prompt) => make("option", { value: prompt })));
  if (!by("prompt").value) by("prompt").value = info.prompts[0];
  recorder.longest = info.limits.max_seconds;
  by("about").textContent = `AlignCap ${info.version}, model ${info.model}. At most ${info.limits.max_seconds} s and ${(info.limits.max_bytes / 2 ** 20).toFixed(0)} MiB.`;
}

begin();
