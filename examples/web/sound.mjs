// Samples before the model: what aligncap.audio does (checks, windows, level).

export const RATE = 16000;
const MIN_SECONDS = 0.1;
const SILENCE = 2e-5; // peak to peak

/** Said to the user as it is. */
export class RecordingError extends Error {}

/** The mean of channels of equal length, as aligncap.audio.mix takes it. */
export function mixed(channels) {
  if (channels.length === 1) return channels[0];
  return channels[0].map(
    (_, at) => channels.reduce((sum, channel) => sum + channel[at], 0) / channels.length,
  );
}

/** Refuse mono samples at 16 kHz that cannot be captioned. */
export function check(samples) {
  if (!samples.length) throw new RecordingError("there are no samples in it");
  if (!samples.every(Number.isFinite)) throw new RecordingError("it holds NaN or infinite samples");
  if (samples.length < MIN_SECONDS * RATE) {
    throw new RecordingError(
      `it is ${Math.round((1000 * samples.length) / RATE)} ms long; at least ${MIN_SECONDS} s is needed`,
    );
  }
  if (isSilent(samples)) throw new RecordingError("it is silent");
}

/** Whether every sample is the same. */
export function isSilent(samples) {
  let low = Infinity,
    high = -Infinity;
  for (const sample of samples) {
    if (sample < low) low = sample;
    if (sample > high) high = sample;
  }
  return high - low < SILENCE;
}

/** The least number of windows of equal length (to one sample); together they are the whole recording. */
export function windows(total, maxSeconds) {
  const count = Math.ceil(total / Math.floor(maxSeconds * RATE + 0.5));
  const edge = (index) => Math.floor((total * index) / count);
  return Array.from({ length: count }, (_, index) => [edge(index), edge(index + 1)]);
}

const CROSSINGS = 32; // of the sinc on either side

/** Play samples at another speed: pitch and pace change together (see aligncap.audio.speed). */
export function atSpeed(samples, speed) {
  const band = Math.min(1, 1 / speed); // of the spectrum that stays
  const reach = CROSSINGS / band;
  return Float32Array.from({ length: Math.round(samples.length / speed) }, (_, n) => {
    const place = n * speed;
    let sum = 0;
    for (let at = Math.max(0, Math.ceil(place - reach)); at <= place + reach && at < samples.length; at++) {
      const x = (place - at) * band;
      const sinc = x === 0 ? 1 : Math.sin(Math.PI * x) / (Math.PI * x);
      sum += samples[at] * sinc * Math.cos((Math.PI * x) / (2 * CROSSINGS)) ** 2; // Hann's window
    }
    return sum * band;
  });
}

/** Cut silence off both ends and bring active speech to a level (see aligncap.audio.level). */
export function level(samples, dbfs) {
  const size = Math.min(400, samples.length);
  const power = new Float64Array(Math.floor(samples.length / size));
  for (let frame = 0; frame < power.length; frame++) {
    let sum = 0;
    for (let at = frame * size; at < (frame + 1) * size; at++) sum += samples[at] ** 2;
    power[frame] = sum / size;
  }
  const least = power.reduce((a, b) => Math.max(a, b)) * 1e-3;
  const active = [...power.keys()].filter((frame) => power[frame] >= least);
  const margin = 1600;
  const span = samples.subarray(Math.max(active[0] * size - margin, 0), (active.at(-1) + 1) * size + margin);
  const mean = active.reduce((sum, frame) => sum + power[frame], 0) / active.length;
  const gain = 10 ** (dbfs / 20) / Math.sqrt(mean + 1e-12);
  return span.map((sample) => sample * gain);
}
