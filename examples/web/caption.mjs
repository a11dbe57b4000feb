// Captions recordings in Node, with the modules of the page:
// node caption.mjs FOLDER FILE.wav ... [--json] [--threads N]

import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { parseArgs } from "node:util";

import { Tokenizer } from "@huggingface/tokenizers";
import * as ort from "onnxruntime-web";

import { Captioner } from "./captioner.mjs";
import { readWav } from "./wav.mjs";

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: { json: { type: "boolean" }, threads: { type: "string" } },
});
const [folder, ...recordings] = positionals;
if (!recordings.length) {
  console.error("usage: node caption.mjs FOLDER FILE.wav ... [--json] [--threads N]");
  process.exit(2);
}
if (values.threads) ort.env.wasm.numThreads = Number(values.threads);

async function read(name, optional = false) {
  try {
    const bytes = await readFile(join(folder, name));
    return bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.byteLength);
  } catch (error) {
    if (optional && error.code === "ENOENT") return null;
    throw error;
  }
}

const began = performance.now();
let captioner;
try {
  captioner = await Captioner.load(read, { ort, Tokenizer });
} catch (error) {
  console.error(`${folder}: it cannot be loaded (${error.message}); make it with aligncap export`);
  process.exit(3);
}
console.error(`loaded in ${((performance.now() - began) / 1000).toFixed(1)} s`);
for (const name of recordings) {
  try {
    for await (const result of captioner.captions(readWav(await recordingBytes(name)))) {
      const { start, end, caption } = result;
      console.log(
        values.json
          ? JSON.stringify({ audio: name, ...result })
          : `${name} [${start.toFixed(1)}–${end.toFixed(1)} s]: ${caption}`,
      );
    }
  } catch (error) {
    console.error(`${name}: ${error.message}`);
    process.exitCode = 1;
  }
}

async function recordingBytes(name) {
  const bytes = await readFile(name);
  return bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.byteLength);
}
