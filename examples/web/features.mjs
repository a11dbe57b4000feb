// Whisper's features, as aligncap.captioner.exported.features makes them: no longer than the recording.

/**
 * Log-mel spectrogram, as (bands × frames) in one Float32Array, row by row.
 * filters: Float64Array (window / 2 + 1, bands).
 */
export function logMel(samples, filters, window, hop) {
  const half = window / 2,
    bins = half + 1,
    bands = filters.length / bins;
  const frames = Math.floor(samples.length / hop);
  const padded = reflected(samples, half);
  const [cosines, sines] = waves(window);
  const hann = Float64Array.from(
    { length: window },
    (_, n) => 0.5 - 0.5 * Math.cos((2 * Math.PI * n) / window),
  );
  const decades = new Float64Array(bands * frames);
  const frame = new Float64Array(window),
    sums = new Float64Array(bands);
  let highest = -Infinity;
  for (let t = 0; t < frames; t++) {
    for (let n = 0; n < window; n++) frame[n] = padded[t * hop + n] * hann[n];
    sums.fill(0);
    for (let bin = 0; bin < bins; bin++) {
      let real = 0,
        imaginary = 0;
      for (let n = 0, turn = 0; n < window; n++) {
        real += frame[n] * cosines[turn];
        imaginary += frame[n] * sines[turn];
        turn += bin;
        if (turn >= window) turn -= window;
      }
      const power = real * real + imaginary * imaginary;
      for (let band = 0; band < bands; band++) sums[band] += power * filters[bin * bands + band];
    }
    for (let band = 0; band < bands; band++) {
      const value = Math.log10(Math.max(sums[band], 1e-10));
      decades[band * frames + t] = value;
      if (value > highest) highest = value;
    }
  }
  return Float32Array.from(decades, (value) => (Math.max(value, highest - 8) + 4) / 4);
}

function reflected(samples, margin) {
  const last = samples.length - 1;
  return Float64Array.from({ length: samples.length + 2 * margin }, (_, n) => {
    const at = Math.abs(n - margin);
    return samples[at > last ? 2 * last - at : at];
  });
}

function waves(window) {
  const angle = (n) => (2 * Math.PI * n) / window;
  const cosines = Float64Array.from({ length: window }, (_, n) => Math.cos(angle(n)));
  return [cosines, Float64Array.from({ length: window }, (_, n) => Math.sin(angle(n)))];
}
