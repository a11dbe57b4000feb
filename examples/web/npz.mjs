// Arrays of numbers as numpy.savez writes them: a ZIP archive, not compressed, of .npy files.

const KINDS = { "<f4": Float32Array, "<f8": Float64Array };

/** Name → {data, shape} of the arrays in an ArrayBuffer. */
export function readNpz(buffer) {
  const view = new DataView(buffer);
  let end = view.byteLength - 22;
  while (end >= 0 && view.getUint32(end, true) !== 0x06054b50) end--;
  if (end < 0) throw new Error("it is no ZIP archive");
  const arrays = {};
  let at = view.getUint32(end + 16, true);
  for (let entry = view.getUint16(end + 10, true); entry > 0; entry--) {
    const size = view.getUint32(at + 24, true),
      length = view.getUint16(at + 28, true);
    const name = text(buffer, at + 46, length).replace(/\.npy$/, "");
    if (view.getUint16(at + 10, true) !== 0) throw new Error(`${name} is compressed`);
    const local = view.getUint32(at + 42, true); // whose extra field differs in length from the directory's
    const start = local + 30 + view.getUint16(local + 26, true) + view.getUint16(local + 28, true);
    arrays[name] = readNpy(buffer.slice(start, start + size));
    at += 46 + length + view.getUint16(at + 30, true) + view.getUint16(at + 32, true);
  }
  return arrays;
}

function readNpy(buffer) {
  const view = new DataView(buffer);
  const wide = view.getUint8(6) > 1;
  const start = wide ? 12 : 10;
  const size = wide ? view.getUint32(8, true) : view.getUint16(8, true);
  const header = text(buffer, start, size);
  const kind = KINDS[/'descr': '([^']+)'/.exec(header)?.[1]];
  if (!kind || !/'fortran_order': False/.test(header))
    throw new Error(`arrays of this kind are not known: ${header}`);
  const shape = /'shape': \(([^)]*)\)/
    .exec(header)[1]
    .split(",")
    .filter((part) => part.trim())
    .map(Number);
  return { data: new kind(buffer.slice(start + size)), shape };
}

function text(buffer, start, length) {
  return new TextDecoder().decode(new Uint8Array(buffer, start, length));
}
