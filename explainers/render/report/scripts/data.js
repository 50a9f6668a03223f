// Maps out of their packing: chunks are loaded when an image of theirs comes into view, and forgotten when others do.

import { report } from "./report.js";
import { unpackedMap, unpackedMask } from "./unpack.js";

const CHUNKS = 24; // kept
const MAPS = 48e6; // bytes of unpacked maps kept

const chunks = new Map(); // number → promise of {index: {photo, photos, maps, mask, curves}}
const waiting = new Map(); // number → resolve
const maps = new Map(); // "image map" → Float32Array
let weight = 0;

window.explainersReport = {
  take(number, values) {
    waiting.get(number)?.(values);
    waiting.delete(number);
  },
};

function load(number) {
  const name = `maps-${String(number).padStart(4, "0")}`;
  if (report.single) {
    return Promise.resolve(JSON.parse(document.getElementById(name).textContent));
  }
  return new Promise((resolve, reject) => {
    waiting.set(number, resolve);
    const script = document.createElement("script");
    script.nonce = document.getElementById("program").nonce;
    script.src = `${report.root}${name}.js`;
    script.onload = () => script.remove();
    script.onerror = () => {
      script.remove();
      waiting.delete(number);
      chunks.delete(number);
      reject(new Error(`${name}.js is missing: the report's folder was not copied as a whole`));
    };
    document.head.append(script);
  });
}

function chunk(number) {
  const found = chunks.get(number) ?? load(number);
  chunks.delete(number);
  chunks.set(number, found);
  if (chunks.size > CHUNKS) chunks.delete(chunks.keys().next().value);
  return found;
}

// {photo, photos, maps, mask, curves} of an image.
export async function heavy(image) {
  return (await chunk(image.chunk))[image.index] ?? {};
}

export async function photoOf(image, slice = 0) {
  if (image.slices) return (await heavy(image)).photos?.[slice] ?? null;
  return image.photo ?? (await heavy(image)).photo ?? null;
}

// The raw map, {values, height, width}, null where there is none.
export async function rawMap(image, index) {
  const map = image.maps[index];
  if (!map?.grid) return null;
  const [height, width] = map.grid;
  const key = `${image.index} ${index}`;
  let values = maps.get(key);
  if (values) {
    maps.delete(key);
    maps.set(key, values);
  } else {
    const text = (await heavy(image)).maps?.[index];
    if (!text) return null;
    values = await unpackedMap(map, text);
    maps.set(key, values);
    weight += values.byteLength;
    while (weight > MAPS && maps.size > 1) {
      const [oldest, dropped] = maps.entries().next().value;
      maps.delete(oldest);
      weight -= dropped.byteLength;
    }
  }
  return { values, height, width };
}

// What maps of an image should show, {inside: Uint8Array, height, width}, or null.
export async function maskOf(image) {
  const { mask } = await heavy(image);
  return mask ? unpackedMask(mask) : null;
}
