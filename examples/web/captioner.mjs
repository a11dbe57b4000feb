// Captions with a folder that `aligncap export` wrote, in the browser or in Node: aligncap.captioner.exported.

import { voiceWords } from "./clues.mjs";
import { logMel } from "./features.mjs";
import { agreed, Phrases } from "./habits.mjs";
import { readNpz } from "./npz.mjs";
import { atSpeed, check, isSilent, level, RATE, windows } from "./sound.mjs";
import words from "./words.mjs";

const INSTRUCTION = "Describe the emotion in the voice.";
const MAX_NEW_TOKENS = 64;
const FORMAT = 1;
const CLEARLY_MIN = 0.8,
  PERHAPS_MIN = 0.25;

/** One model. Make it with `Captioner.load`. */
export class Captioner {
  #ort;
  #settings;
  #tokenizer;
  #filters;
  #offset;
  #hearing;
  #model;
  #phrases;
  #speech;
  #beginning;

  /**
   * Load a model.
   *
   * read: (name, optional) → Promise of the ArrayBuffer of a file of the folder, or of null where an optional
   * one is missing.
   * ort: onnxruntime-web or onnxruntime-node. Tokenizer: of @huggingface/tokenizers.
   */
  static async load(read, { ort, Tokenizer }) {
    const json = async (name) => JSON.parse(new TextDecoder().decode(await read(name)));
    const captioner = new Captioner();
    const settings = await json("aligncap-onnx.json");
    if (settings.format !== FORMAT)
      throw new Error("exported by another version of AlignCap; export the model again");
    const unknown = settings.emotions.filter((label) => !(label in words.feelings));
    if (unknown.length) throw new Error(`no words are known for ${unknown.join(", ")}`);
    captioner.#ort = ort;
    captioner.#settings = settings;
    captioner.#tokenizer = new Tokenizer(await json("tokenizer.json"), {
      clean_up_tokenization_spaces: false,
    });
    captioner.#speech = captioner.#tokenizer.token_to_id(settings.prompt.speech);
    const { filters, offset } = readNpz(await read("arrays.npz"));
    captioner.#filters = filters.data;
    captioner.#offset = new ort.Tensor("float32", offset.data, offset.shape);
    const habits = await read("habits.txt", true);
    if (habits) {
      const lines = new TextDecoder().decode(habits).split("\n").filter(Boolean);
      captioner.#phrases = new Phrases(lines.map((line) => [...captioner.#encode(line), settings.ends[0]]));
    }
    const options = { executionProviders: ["wasm"], logSeverityLevel: 3 };
    captioner.#hearing = await ort.InferenceSession.create(
      new Uint8Array(await read("hearing.onnx")),
      options,
    );
    captioner.#model = await LanguageModel.load(read, ort, settings, options);
    await captioner.#begin();
    return captioner;
  }

  /** How the weights of the language model are kept. */
  get numberFormat() {
    return this.#settings.number_format;
  }

  /**
   * Caption a recording of any length, stretch by stretch of at most 10 s; nothing is left out.
   *
   * samples: Float32Array, mono, 16 kHz.
   * Throws a RecordingError where it cannot be captioned.
   */
  async *captions(samples) {
    check(samples);
    for (const [start, end] of windows(samples.length, this.#settings.max_seconds)) {
      const began = performance.now();
      const result = await this.#caption(samples.subarray(start, end));
      yield { start: start / RATE, end: end / RATE, ...result, took: (performance.now() - began) / 1000 };
    }
  }

  async #caption(samples) {
    const settings = this.#settings;
    const { probabilities, speech } = await this.#hear(samples);
    const heard = settings.emotions
      .map((label, at) => [label, probabilities[at]])
      .sort((a, b) => b[1] - a[1]);
    const clues = cluePrompt(
      settings.clues.includes("emotions") ? heard : [],
      settings.clues.includes("voice") ? voiceWords(samples) : [],
    );
    const tokens = await this.#write(speech, clues);
    const text = this.#tokenizer.decode(tokens, { skip_special_tokens: true });
    const warnings = isSilent(samples) ? ["nothing is heard here: what is said of it has no ground"] : [];
    if (!settings.ends.includes(tokens.at(-1)))
      warnings.push(`the caption was cut off after ${MAX_NEW_TOKENS} tokens`);
    return {
      caption: text.split(/\s+/).filter(Boolean).join(" "),
      emotions: Object.fromEntries(heard),
      clues,
      warnings,
    };
  }

  /** Probabilities of emotions, judged at every speed of the model, and speech embeddings: an array of K Float32Arrays. */
  async #hear(samples) {
    const { probabilities, speech } = await this.#hearOnce(samples);
    const speeds = this.#settings.speeds ?? [];
    if (!speeds.length) return { probabilities, speech };
    const sums = probabilities.map(Math.log);
    for (const speed of speeds) {
      const copy = await this.#hearOnce(atSpeed(samples, speed));
      copy.probabilities.forEach((share, at) => (sums[at] += Math.log(Math.max(share, 1e-30))));
    }
    const shares = sums.map((sum) => Math.exp(sum / (1 + speeds.length)));
    const total = shares.reduce((a, b) => a + b);
    return { probabilities: shares.map((share) => share / total), speech };
  }

  async #hearOnce(samples) {
    const { level_dbfs, window, hop } = this.#settings;
    const features = logMel(level(samples, level_dbfs), this.#filters, window, hop);
    const bands = this.#filters.length / (window / 2 + 1);
    const given = new this.#ort.Tensor("float32", features, [1, bands, features.length / bands]);
    const { emotions, embeddings } = await this.#hearing.run({ features: given, offset: this.#offset });
    const [, count, width] = embeddings.dims;
    const speech = Array.from({ length: count }, (_, at) =>
      embeddings.data.subarray(at * width, (at + 1) * width),
    );
    return { probabilities: [...emotions.data], speech };
  }

  /** Read what comes before the speech, which is the same for all recordings. */
  async #begin() {
    const { before, speech } = this.#settings.prompt;
    const tokens = this.#encode(`${before}${speech}`).slice(0, -1);
    this.#beginning = (
      await this.#model.read(
        null,
        0,
        tokens.map((token) => this.#model.embed(token)),
      )
    ).state;
  }

  /** The likeliest response, token by token. */
  async #write(speech, clues) {
    const { prompt, ends } = this.#settings,
      model = this.#model;
    const turn = [prompt.speech.repeat(speech.length), clues, INSTRUCTION].filter(Boolean).join("\n");
    const tokens = this.#encode(`${prompt.before}${turn}${prompt.after}`);
    const first = tokens.indexOf(this.#speech);
    if (tokens.filter((token) => token === this.#speech).length !== speech.length) {
      throw new Error(`not ${speech.length} placeholders for as many speech embeddings`);
    }
    const rest = tokens
      .slice(first)
      .map((token, at) => (at < speech.length ? speech[at] : model.embed(token)));
    let { best, state } = await model.read(this.#beginning, first, rest);
    const written = [];
    for (let guess = []; ;) {
      written.push(...agreed(best, guess, ends));
      if (ends.includes(written.at(-1)) || written.length >= MAX_NEW_TOKENS) return written;
      guess = (this.#phrases?.ahead(written) ?? []).slice(0, MAX_NEW_TOKENS - written.length - 1);
      const fed = [written.at(-1), ...guess].map((token) => model.embed(token));
      ({ best, state } = await model.read(state, tokens.length + written.length - 1, fed, fed.length));
    }
  }

  #encode(text) {
    return this.#tokenizer.encode(text, { add_special_tokens: false }).ids;
  }
}

/** "Feeling: angry, perhaps disgusted. Voice: fast, high-pitched.", as aligncap.captions.grammar writes it. */
function cluePrompt(ranked, voice) {
  const feelings = ranked
    .slice(0, 2)
    .filter(([, share], place) => share > (place ? PERHAPS_MIN - Number.EPSILON : 0))
    .map(
      ([label, share], place) =>
        `${place ? "perhaps " : share >= CLEARLY_MIN ? "clearly " : ""}${words.feelings[label]}`,
    );
  const parts = feelings.length ? [`Feeling: ${feelings.join(", ")}.`] : [];
  if (voice.length) parts.push(`Voice: ${voice.join(", ")}.`);
  return parts.join(" ");
}

/** The language model: embeddings in, the likeliest tokens out; keys and values go from call to call. */
class LanguageModel {
  #ort;
  #settings;
  #session;
  #weights;
  #scales;
  #names;

  static async load(read, ort, settings, options) {
    const model = new LanguageModel();
    const layers = [...Array(settings.layers).keys()];
    model.#ort = ort;
    model.#settings = settings;
    model.#names = layers.flatMap((layer) =>
      ["keys", "values"].map((kind) => [`${kind}.${layer}`, `${kind}_out.${layer}`]),
    );
    const graph = await read("language_model.onnx");
    const path = "language_model.onnx.data";
    const data = await read(path);
    const { file, weights, scales, bits, block } = settings.table;
    const table = file === path ? data : await read(file);
    const size = settings.vocabulary * settings.width;
    if (scales === null) {
      model.#weights = new Float32Array(table.slice(weights, weights + 4 * size));
    } else {
      model.#weights = new Uint8Array(table.slice(weights, weights + (size * bits) / 8));
      model.#scales = new Float32Array(table.slice(scales, scales + (4 * size) / block));
    }
    const externalData = [{ path, data: new Uint8Array(data) }];
    model.#session = await ort.InferenceSession.create(new Uint8Array(graph), { ...options, externalData });
    return model;
  }

  /** The embedding of a token. */
  embed(token) {
    const { width, table } = this.#settings,
      first = token * width;
    if (!this.#scales) return this.#weights.subarray(first, first + width);
    const half = 2 ** (table.bits - 1);
    return Float32Array.from({ length: width }, (_, column) => {
      const at = first + column;
      const whole = table.bits === 8 ? this.#weights[at] : (this.#weights[at >> 1] >> (4 * (at & 1))) & 15;
      return (whole - half) * this.#scales[Math.floor(at / table.block)];
    });
  }

  /**
   * Read tokens from a place on; what the state knew from that place on is forgotten.
   *
   * Returns the likeliest token after each of the last `scored`, and the state.
   */
  async read(state, start, embeddings, scored = 1) {
    const { width, groups, head_width, vocabulary } = this.#settings,
      { Tensor } = this.#ort;
    const given = new Float32Array(embeddings.length * width);
    embeddings.forEach((embedding, at) => given.set(embedding, at * width));
    const total = start + embeddings.length;
    const feeds = {
      embeddings: new Tensor("float32", given, [1, embeddings.length, width]),
      last: new Tensor("int32", [total - 1], [1]),
      total: new Tensor("int32", [total], []),
      scored: new Tensor("int64", [BigInt(embeddings.length - scored)], [1]),
    };
    const nothing = () =>
      new Tensor("float32", new Float32Array(groups * head_width), [1, groups, 1, head_width]);
    for (const [name] of this.#names) feeds[name] = state?.[name] ?? nothing();
    const found = await this.#session.run(feeds);
    const best = Array.from({ length: scored }, (_, at) =>
      likeliest(found.scores.data.subarray(at * vocabulary, (at + 1) * vocabulary)),
    );
    return { best, state: Object.fromEntries(this.#names.map(([name, out]) => [name, found[out]])) };
  }
}

function likeliest(scores) {
  let best = 0;
  for (let token = 1; token < scores.length; token++) if (scores[token] > scores[best]) best = token;
  return best;
}
