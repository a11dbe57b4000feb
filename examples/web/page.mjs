// The page: takes a file, has the worker caption it, shows what comes. No text from elsewhere becomes HTML.

import { mixed, RATE, RecordingError } from "./sound.mjs";

const MOST_SECONDS = 30 * 60,
  MOST_BYTES = 1 << 30;
const $ = (id) => document.getElementById(id);
const worker = new Worker(`worker.mjs${location.search}`, { type: "module" });
let heading = ""; // of the results of the recording that is being captioned
let count = 0;
let last = "";

worker.addEventListener("message", ({ data }) => actions[data.kind](data));
worker.addEventListener("error", (event) => {
  event.preventDefault();
  actions.failed({
    message: `The model cannot be run here: ${event.message || "was npm install run? Is the browser too old?"}`,
  });
});

const actions = {
  loading({ share }) {
    $("loaded").value = share;
  },
  loaded({ format, seconds, threads }) {
    $("loading").hidden = true;
    if (!$("go").disabled)
      tell(`The model is loaded (${format}, ${seconds.toFixed(1)} s, threads: ${threads}).`);
  },
  result({ result }) {
    count += 1;
    $("results").append(shown(result));
    // told again in the end: a screen reader may not have come to it
    last = `${times(result)}: ${result.caption}`;
    tell(last);
  },
  done({ stopped }) {
    const captioned = `${count} ${count === 1 ? "stretch" : "stretches"} captioned`;
    tell(`${stopped ? "Stopped" : "Done"}: ${captioned}. ${last}`);
    busy(false);
  },
  refused({ message }) {
    fail(`${heading}: ${message}`);
  },
  failed({ message }) {
    $("loading").hidden = true;
    fail(message);
  },
};

$("form").addEventListener("submit", async (event) => {
  event.preventDefault();
  if ($("go").disabled) return;
  const [file] = $("file").files;
  $("error").textContent = "";
  $("results").replaceChildren();
  count = 0;
  if (!file) return fail("Choose a recording first.");
  heading = file.name;
  busy(true);
  try {
    tell("The recording is being decoded …");
    const samples = await decoded(file);
    tell("The voice is being listened to …");
    worker.postMessage({ kind: "caption", samples }, [samples.buffer]);
    $("stop").hidden = false;
  } catch (error) {
    const known = error instanceof RecordingError;
    actions.refused({ message: known ? error.message : `it cannot be read (${error.message})` });
  }
});

$("stop").addEventListener("click", () => {
  worker.postMessage({ kind: "stop" });
  tell("It stops after this stretch …");
});

/** Mono samples at 16 kHz. */
async function decoded(file) {
  if (!file.size) throw new RecordingError("the file is empty");
  if (file.size > MOST_BYTES)
    throw new RecordingError("the file is larger than 1 GB; use aligncap caption for it");
  const bytes = await file.arrayBuffer();
  let audio;
  try {
    audio = await new OfflineAudioContext(1, 1, RATE).decodeAudioData(bytes);
  } catch {
    throw new RecordingError(
      "this browser cannot decode it: it is damaged, or no recording, or of a format that it does not know",
    );
  }
  if (audio.duration > MOST_SECONDS) {
    const minutes = Math.ceil(audio.duration / 60);
    throw new RecordingError(
      `it is ${minutes} minutes long, and 30 is the most here; use aligncap caption for it`,
    );
  }
  return mixed(Array.from({ length: audio.numberOfChannels }, (_, channel) => audio.getChannelData(channel)));
}

function fail(message) {
  $("error").textContent = message;
  tell("");
  busy(false);
}

function busy(is) {
  const lost = [document.body, $("stop")].includes(document.activeElement);
  $("go").disabled = is;
  if (is) return;
  $("stop").hidden = true;
  if (lost) $("go").focus();
}

function tell(text) {
  $("status").textContent = text;
}

function times({ start, end }) {
  return `${start.toFixed(1)} to ${end.toFixed(1)} s`;
}

function made(name, text = "", about = {}) {
  const element = Object.assign(document.createElement(name), about);
  element.textContent = text;
  return element;
}

function shown(result) {
  const section = made("section");
  section.append(
    made("h2", `${heading}, ${times(result)}`),
    made("p", result.caption, { className: "caption" }),
  );
  const table = made("table"),
    body = made("tbody");
  table.append(made("caption", "Probabilities of the emotions"), body);
  for (const [label, share] of Object.entries(result.emotions)) {
    const row = made("tr"),
      bar = made("div", "", { className: "bar" }),
      cell = made("td");
    bar.style.width = `${100 * share}%`;
    cell.append(bar);
    row.append(made("th", label, { scope: "row" }), made("td", `${(100 * share).toFixed(1)} %`), cell);
    body.append(row);
  }
  section.append(table);
  for (const warning of result.warnings) section.append(made("p", `Warning: ${warning}.`));
  section.append(
    made("p", `Told to the language model: ${result.clues || "nothing"}`, { className: "note" }),
  );
  section.append(made("p", `Took ${result.took.toFixed(1)} s.`, { className: "note took" }));
  return section;
}
