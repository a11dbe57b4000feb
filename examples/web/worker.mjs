// Runs the model beside the page, which stays usable. The folder of the model is model/, next to the page.

import { Tokenizer } from "./node_modules/@huggingface/tokenizers/dist/tokenizers.min.mjs";
import * as ort from "./node_modules/onnxruntime-web/dist/ort.wasm.min.mjs";

import { Captioner } from "./captioner.mjs";
import { RecordingError } from "./sound.mjs";

const FOLDER = new URL("model/", import.meta.url);
const FILES = [
  "aligncap-onnx.json",
  "tokenizer.json",
  "arrays.npz",
  "habits.txt",
  "hearing.onnx",
  "language_model.onnx",
];

const threads = Number(new URLSearchParams(location.search).get("threads"));
if (threads) ort.env.wasm.numThreads = threads;

let stopped = false;
const loaded = load();
loaded.catch((error) => postMessage({ kind: "failed", message: error.message }));

addEventListener("message", async ({ data }) => {
  stopped = data.kind === "stop";
  if (stopped) return;
  let captioner;
  try {
    captioner = await loaded;
  } catch (error) {
    postMessage({ kind: "failed", message: error.message });
    return;
  }
  try {
    for await (const result of captioner.captions(data.samples)) {
      postMessage({ kind: "result", result });
      await new Promise((go) => setTimeout(go)); // so that a stop can come in
      if (stopped) break;
    }
    postMessage({ kind: "done", stopped });
  } catch (error) {
    const message =
      error instanceof RecordingError ? error.message : `it could not be captioned (${error.message})`;
    postMessage({ kind: "refused", message });
  }
});

async function load() {
  const began = performance.now();
  const sizes = await Promise.all([...FILES, "language_model.onnx.data"].map(size));
  const total = sizes.reduce((sum, each) => sum + each, 0);
  let done = 0;
  const read = (name, optional) =>
    fetched(name, optional, (bytes) => postMessage({ kind: "loading", share: (done += bytes) / total }));
  let captioner;
  try {
    captioner = await Captioner.load(read, { ort, Tokenizer });
  } catch (error) {
    throw new Error(`The model in model/ cannot be loaded: ${error.message}`);
  }
  const seconds = (performance.now() - began) / 1000;
  postMessage({ kind: "loaded", format: captioner.numberFormat, seconds, threads: ort.env.wasm.numThreads });
  return captioner;
}

async function size(name) {
  const answer = await fetch(new URL(name, FOLDER), { method: "HEAD" });
  return answer.ok ? Number(answer.headers.get("Content-Length")) : 0;
}

async function fetched(name, optional, tell) {
  const answer = await fetch(new URL(name, FOLDER));
  if (optional && answer.status === 404) return null;
  if (!answer.ok) throw new Error(`${name} is missing; make the folder with aligncap export -o model --int8`);
  const length = Number(answer.headers.get("Content-Length"));
  const parts = [];
  for await (const part of stream(answer.body)) {
    parts.push(part);
    tell(part.length);
  }
  const whole = await new Blob(parts).arrayBuffer();
  if (length && whole.byteLength < length) throw new Error(`${name} broke off`);
  return whole;
}

async function* stream(body) {
  const reader = body.getReader(); // not every browser iterates over a body
  for (let part; !(part = await reader.read()).done;) yield part.value;
}
