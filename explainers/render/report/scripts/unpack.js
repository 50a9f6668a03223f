// Maps and masks out of their packing (packing.py).

async function inflate(text) {
  const bytes = Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("deflate"));
  return new Uint8Array(await new Response(stream).arrayBuffer());
}

// Raw values from bytes: the upper eight bits of all, then the lower ones.
function decode(bytes, count, bits, low, high) {
  const values = new Float32Array(count);
  const step = (high - low) / (2 ** bits - 1);
  for (let place = 0; place < count; place += 1) {
    const lower =
      bits === 16
        ? bytes[count + place]
        : place % 2
          ? bytes[count + (place >> 1)] & 15
          : bytes[count + (place >> 1)] >> 4;
    values[place] = low + ((bytes[place] << (bits - 8)) | lower) * step;
  }
  return values;
}

// The values of a map {grid, bits, range} from its text.
export async function unpackedMap({ grid, bits, range }, text) {
  return decode(await inflate(text), grid[0] * grid[1], bits, ...range);
}

// {inside: Uint8Array, height, width} of a mask {grid, data}.
export async function unpackedMask({ grid, data }) {
  const [height, width] = grid;
  const bytes = await inflate(data);
  const inside = new Uint8Array(height * width);
  for (let place = 0; place < inside.length; place += 1) inside[place] = (bytes[place >> 3] >> (7 - (place & 7))) & 1;
  return { inside, height, width };
}
