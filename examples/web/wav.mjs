// WAV files for Node, which has no decoder: 16 kHz, 16-bit integers or 32-bit floats.

import { mixed, RATE, RecordingError } from "./sound.mjs";

/** The mono samples of a WAV file in an ArrayBuffer. */
export function readWav(buffer) {
  const view = new DataView(buffer);
  const tag = (at) =>
    at + 4 <= view.byteLength ? String.fromCharCode(...new Uint8Array(buffer, at, 4)) : "";
  if (tag(0) !== "RIFF" || tag(8) !== "WAVE") throw new RecordingError("it is no WAV file");
  let format = null;
  for (
    let at = 12;
    at + 8 <= view.byteLength;
    at += 8 + view.getUint32(at + 4, true) + (view.getUint32(at + 4, true) & 1)
  ) {
    const size = Math.min(view.getUint32(at + 4, true), view.byteLength - at - 8);
    if (tag(at) === "fmt " && size >= 16) {
      format = {
        kind:
          size >= 26 && view.getUint16(at + 8, true) === 0xfffe
            ? view.getUint16(at + 32, true)
            : view.getUint16(at + 8, true),
        channels: view.getUint16(at + 10, true),
        rate: view.getUint32(at + 12, true),
        bits: view.getUint16(at + 22, true),
      };
    }
    if (tag(at) === "data" && format) return decoded(view, at + 8, size, format);
  }
  throw new RecordingError("it is a damaged WAV file");
}

function decoded(view, start, size, { kind, channels, rate, bits }) {
  const whole = kind === 1 && bits === 16;
  if (!(whole || (kind === 3 && bits === 32)) || rate !== RATE || !channels) {
    throw new RecordingError(
      "in Node only WAV files of 16 kHz, in 16-bit integers or 32-bit floats, can be read",
    );
  }
  const width = bits / 8,
    length = Math.floor(size / width / channels);
  const sample = (at) => (whole ? view.getInt16(at, true) / 32768 : view.getFloat32(at, true));
  const channel = (c) => Float32Array.from({ length }, (_, n) => sample(start + (n * channels + c) * width));
  return mixed(Array.from({ length: channels }, (_, c) => channel(c)));
}
