// What is measured in the voice, as far as clue prompts tell it: aligncap.clues, in 64-bit floats.

import { RATE } from "./sound.mjs";
import words from "./words.mjs";

const F0_MIN = 60,
  F0_MAX = 650; // Hz
const HOP = 0.01; // seconds
const WIDTH = 768,
  SIZE = 2048; // samples: 48 ms, and of the transform
const RUMBLE_CORNER = 150,
  PITCH_CUTOFF = 1500,
  CORRELATION_LIMIT = 6500; // Hz
const LEVEL_BAND = [200, 4000]; // Hz
const CANDIDATES = 6;
const OCTAVE_COST = 0.03,
  JUMP_COST = 0.45,
  VOICING_COST = 0.18,
  UNVOICED = 0.45,
  QUIET = 3e-3;
const RANGE_BELOW = 0.6,
  RANGE_ABOVE = 2.0;
const MIN_PAUSE = 0.15,
  MIN_VOICED_RUN = 0.04,
  MIN_VOICED = 0.1,
  MIN_VOICED_SHARE = 0.1; // seconds, but the last
const MIN_CONTOUR = 0.5,
  MIN_RATE_SPEECH = 1.0,
  MIN_NUCLEI = 3,
  NUCLEUS_DIP = 3;

/** What is out of the ordinary in a voice, in the words of clue prompts. */
export function voiceWords(samples) {
  const clues = measure(samples);
  return words.voice.flatMap(({ clue, low, high }) => {
    const value = clues[clue] ?? NaN;
    if (low && value <= low.threshold) return [low.word];
    return high && value >= high.threshold ? [high.word] : [];
  });
}

/** The clues that have words in clue prompts; those that cannot be measured are missing. */
export function measure(samples) {
  const normal = normalised(samples);
  if (!normal) return {};
  const frames = analyse(normal);
  const loudest = Math.max(maximum(frames.levelPower), 1e-20);
  const level = frames.levelPower.map((power) => 10 * Math.log10(Math.max(power / loudest, 1e-7)));
  const f0 = track(frames);
  const voiced = withoutShortRuns(
    f0.map((hz) => !Number.isNaN(hz)),
    MIN_VOICED_RUN,
  );
  const sound = sounding(level, voiced);
  const closed = withoutShortRuns(
    sound.map((is) => !is),
    MIN_PAUSE,
  ).map((is) => !is);
  const runs = trueRuns(closed).filter(([start, stop]) => voiced.slice(start, stop).some(Boolean));
  const speech = runs.reduce((sum, [start, stop]) => sum + stop - start, 0);
  const count = voiced.filter(Boolean).length;
  if (count * HOP < MIN_VOICED || count < MIN_VOICED_SHARE * sound.filter(Boolean).length) return {};
  const clues = { pause_share: 1 - speech / (runs.at(-1)[1] - runs[0][0]) };
  const pitches = f0.filter((_, at) => voiced[at]);
  clues.f0_median_hz = percentile(pitches, 50);
  if (count * HOP >= MIN_CONTOUR) {
    const semitones = pitches.map((hz) => 12 * Math.log2(hz));
    const levels = level.filter((_, at) => voiced[at]);
    clues.f0_spread_semitones = (percentile(semitones, 90) - percentile(semitones, 10)) / 2;
    clues.level_range_db = percentile(levels, 95) - percentile(levels, 50);
  }
  const nuclei = countNuclei(level, voiced);
  if (speech * HOP >= MIN_RATE_SPEECH && nuclei >= MIN_NUCLEI)
    clues.syllables_per_s = nuclei / (speech * HOP);
  return clues;
}

/** Without offset and at a peak of 1; null where all is the same. */
function normalised(samples) {
  const mean = samples.reduce((sum, sample) => sum + sample, 0) / samples.length;
  const centred = Float64Array.from(samples, (sample) => sample - mean);
  const peak = centred.reduce((most, sample) => Math.max(most, Math.abs(sample)), 0);
  return peak ? centred.map((sample) => sample / peak) : null;
}

/** Candidate pitches and powers of each 10 ms. */
function analyse(samples) {
  const window = Float64Array.from(
    { length: WIDTH },
    (_, n) => 0.5 - 0.5 * Math.cos((2 * Math.PI * (n + 1)) / (WIDTH + 1)),
  );
  const hz = (bin) => (bin * RATE) / SIZE;
  const weight = Float64Array.from({ length: SIZE / 2 + 1 }, (_, bin) => {
    const f = hz(bin);
    if (f < F0_MIN || f > CORRELATION_LIMIT) return 0;
    return ((f * f) / (f * f + RUMBLE_CORNER ** 2)) * Math.exp(-((f / PITCH_CUTOFF) ** 2));
  });
  const firstLag = Math.floor(RATE / F0_MAX) - 1,
    lastLag = Math.ceil(RATE / F0_MIN) + 1;
  const overlap = (lag) => {
    let sum = 0;
    for (let n = 0; n + lag < WIDTH; n++) sum += window[n] * window[n + lag];
    return sum;
  };
  const lags = Array.from({ length: lastLag - firstLag + 1 }, (_, at) => firstLag + at);
  const taper = lags.map((lag) => overlap(lag) / overlap(0));
  const transform = fourier(SIZE);
  const count = Math.ceil(samples.length / RATE / HOP);
  const pitchPower = [],
    levelPower = [],
    candidates = [];
  const real = new Float64Array(SIZE),
    imaginary = new Float64Array(SIZE);
  for (let frame = 0; frame < count; frame++) {
    const first = Math.round(frame * HOP * RATE) - WIDTH / 2;
    real.fill(0);
    imaginary.fill(0);
    for (let n = 0; n < WIDTH; n++) real[n] = (samples[first + n] ?? 0) * window[n];
    transform(real, imaginary);
    let sum = 0;
    for (let bin = 0; bin < SIZE; bin++) {
      const power = bin <= SIZE / 2 ? real[bin] ** 2 + imaginary[bin] ** 2 : 0;
      if (hz(bin) >= LEVEL_BAND[0] && hz(bin) <= LEVEL_BAND[1]) sum += power;
      real[bin] = bin <= SIZE / 2 ? (2 / SIZE) * weight[bin] * power : 0;
    }
    imaginary.fill(0);
    transform(real, imaginary); // of a power spectrum: the autocorrelation
    levelPower.push(sum);
    pitchPower.push(real[0]);
    candidates.push(
      peaks(
        lags.map((lag, at) => real[lag] / taper[at] / Math.max(real[0], 1e-20)),
        lags,
      ),
    );
  }
  return { pitchPower, levelPower, candidates };
}

/** The strongest local maxima, refined by a parabola; absent ones have strength 0. */
function peaks(correlation, lags) {
  const found = [];
  for (let at = 1; at < correlation.length - 1; at++) {
    const [left, middle, right] = correlation.slice(at - 1, at + 2);
    if (!(middle > left && middle >= right && middle > 0)) continue;
    const shift = (0.5 * (left - right)) / (left - 2 * middle + right);
    const strength = Math.min(middle - 0.25 * (left - right) * shift, 1);
    const hz = RATE / (lags[at] + shift);
    found.push({ hz, strength, rank: OCTAVE_COST * Math.log2(F0_MAX / hz) - strength });
  }
  found.sort((a, b) => a.rank - b.rank);
  while (found.length < CANDIDATES) found.push({ hz: F0_MAX, strength: 0 });
  return found.slice(0, CANDIDATES);
}

/** F0 of each frame in Hz, NaN where unvoiced. */
function track({ pitchPower, candidates }) {
  const loud = percentile(pitchPower, 95);
  const scores = candidates.map((row, frame) => {
    const audible = pitchPower[frame] / Math.max(pitchPower[frame] + QUIET * loud, 1e-20);
    return row.map(({ hz, strength }) =>
      strength ? strength * audible - OCTAVE_COST * Math.log2(F0_MAX / hz) : -1,
    );
  });
  const f0 = bestPath(candidates, scores);
  const found = f0.filter((hz) => !Number.isNaN(hz));
  if (found.length * HOP < MIN_VOICED) return f0;
  const low = RANGE_BELOW * percentile(found, 25),
    high = RANGE_ABOVE * percentile(found, 75);
  const outside = (hz) => hz < low || hz > high;
  if (!found.some(outside)) return f0;
  return bestPath(
    candidates,
    scores.map((row, frame) => row.map((score, at) => (outside(candidates[frame][at].hz) ? -1 : score))),
  );
}

/** Dynamic programming over state 0 (unvoiced) and the candidates. */
function bestPath(candidates, scores) {
  const octaves = candidates.map((row) => row.map(({ hz }) => Math.log2(hz)));
  const local = scores.map((row) => [UNVOICED, ...row]);
  const cost = (frame, to, from) => {
    if (to && from) return JUMP_COST * Math.abs(octaves[frame][to - 1] - octaves[frame - 1][from - 1]);
    return to || from ? VOICING_COST : 0;
  };
  let totals = local[0];
  const back = [];
  for (let frame = 1; frame < local.length; frame++) {
    const chosen = [],
      reached = [];
    for (let to = 0; to < totals.length; to++) {
      let best = 0,
        most = -Infinity;
      for (let from = 0; from < totals.length; from++) {
        const value = totals[from] + (local[frame][to] - cost(frame, to, from));
        if (value > most) [best, most] = [from, value];
      }
      chosen.push(best);
      reached.push(most);
    }
    back.push(chosen);
    totals = reached;
  }
  let state = totals.indexOf(maximum(totals));
  const path = [state];
  for (const row of back.reverse()) path.push((state = row[state]));
  return path.reverse().map((at, frame) => (at ? candidates[frame][at - 1].hz : NaN));
}

/** The frames that hold sound: near the loud frames, and clear of the background noise. */
function sounding(level, voiced) {
  const quiet = percentile(level, 5),
    loud = percentile(level, 95);
  const least = Math.max(loud - 30, quiet + 0.2 * (loud - quiet));
  return level.map((db, at) => voiced[at] || db > least);
}

function trueRuns(mask) {
  const runs = [];
  for (let at = 0; at < mask.length; at++) {
    if (!mask[at]) continue;
    if (at && mask[at - 1]) runs.at(-1)[1] = at + 1;
    else runs.push([at, at + 1]);
  }
  return runs;
}

function withoutShortRuns(mask, shortest) {
  const kept = [...mask];
  for (const [start, stop] of trueRuns(mask))
    if ((stop - start) * HOP < shortest - HOP / 2) kept.fill(false, start, stop);
  return kept;
}

/** How many syllable nuclei there are: voiced peaks of the level, with a dip between. */
function countNuclei(level, voiced) {
  const kernel = Array.from({ length: 13 }, (_, at) => Math.exp(-0.5 * (at - 6) ** 2));
  const sum = kernel.reduce((a, b) => a + b);
  const inside = (at) => level[Math.min(Math.max(at, 0), level.length - 1)];
  const smooth = level.map((_, at) =>
    kernel.reduce((total, share, n) => total + (share / sum) * inside(at + n - 6), 0),
  );
  let rising = true,
    best = smooth[0],
    bestAt = 0,
    lowest = smooth[0],
    count = 0;
  [...smooth, -Infinity].forEach((value, at) => {
    if (rising) {
      if (value > best) [best, bestAt] = [value, at];
      else if (value < best - NUCLEUS_DIP) {
        count += voiced[bestAt] ? 1 : 0;
        [rising, lowest] = [false, value];
      }
    } else if (value < lowest) lowest = value;
    else if (value > lowest + NUCLEUS_DIP) [rising, best, bestAt] = [true, value, at];
  });
  return count;
}

/** As numpy.percentile: linear between neighbours. */
function percentile(values, share) {
  const sorted = Float64Array.from(values).sort();
  const at = ((sorted.length - 1) * share) / 100,
    below = Math.floor(at);
  const above = Math.min(below + 1, sorted.length - 1);
  return sorted[below] + (sorted[above] - sorted[below]) * (at - below);
}

function maximum(values) {
  return values.reduce((a, b) => Math.max(a, b));
}

/** A transform of `size` complex numbers, a power of two, in place. */
function fourier(size) {
  const bits = Math.log2(size);
  const cosines = Float64Array.from({ length: size / 2 }, (_, n) => Math.cos((2 * Math.PI * n) / size));
  const sines = Float64Array.from({ length: size / 2 }, (_, n) => -Math.sin((2 * Math.PI * n) / size));
  const mirror = Uint32Array.from({ length: size }, (_, n) => {
    let other = 0;
    for (let bit = 0; bit < bits; bit++) other |= ((n >> bit) & 1) << (bits - 1 - bit);
    return other;
  });
  return (real, imaginary) => {
    for (let n = 0; n < size; n++) {
      const m = mirror[n];
      if (m <= n) continue;
      [real[n], real[m]] = [real[m], real[n]];
      [imaginary[n], imaginary[m]] = [imaginary[m], imaginary[n]];
    }
    for (let half = 1; half < size; half *= 2) {
      const step = size / (2 * half);
      for (let start = 0; start < size; start += 2 * half) {
        for (let k = 0; k < half; k++) {
          const a = start + k,
            b = a + half,
            c = cosines[k * step],
            s = sines[k * step];
          const x = real[b] * c - imaginary[b] * s,
            y = real[b] * s + imaginary[b] * c;
          real[b] = real[a] - x;
          imaginary[b] = imaginary[a] - y;
          real[a] += x;
          imaginary[a] += y;
        }
      }
    }
  };
}
