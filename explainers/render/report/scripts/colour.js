// From values to colours, as the project's overlays have them: the opacity is the square root of the strength, of weak
// values of signed maps less, since they are near white.

import { clamp } from "./numbers.js";
import { report } from "./report.js";

const tables = Object.fromEntries(
  Object.entries(report.palette).map(([kind, text]) => [
    kind,
    Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0)),
  ]),
);

// Position in the colour map, 0 … 1, and strength, 0 … 1, of a value between limits.
function placed(value, [low, high], signed) {
  if (signed) {
    const bound = Math.max(Math.abs(low), Math.abs(high));
    const strength = bound > 0 ? clamp(value / bound, -1, 1) : 0;
    return [0.5 + strength / 2, Math.abs(strength)];
  }
  const strength = high > low ? clamp((value - low) / (high - low), 0, 1) : 0;
  return [strength, strength];
}

// Draws a map (already of the canvas's size) with its own transparency.
export function paint(canvas, map, { limits, signed }) {
  canvas.width = map.width;
  canvas.height = map.height;
  const context = canvas.getContext("2d");
  const picture = context.createImageData(map.width, map.height);
  const table = tables[signed ? "diverging" : "sequential"];
  for (let pixel = 0; pixel < map.values.length; pixel += 1) {
    const [position, strength] = placed(map.values[pixel], limits, signed);
    const colour = 3 * Math.round(255 * position);
    picture.data[4 * pixel] = table[colour];
    picture.data[4 * pixel + 1] = table[colour + 1];
    picture.data[4 * pixel + 2] = table[colour + 2];
    picture.data[4 * pixel + 3] = 255 * Math.min(Math.sqrt(strength), signed ? 2 * strength : 1);
  }
  context.putImageData(picture, 0, 0);
}

// The colours from one end to the other, opaque.
export function paintBar(canvas, signed) {
  canvas.width = 256;
  canvas.height = 1;
  const context = canvas.getContext("2d");
  const picture = context.createImageData(256, 1);
  const table = tables[signed ? "diverging" : "sequential"];
  for (let place = 0; place < 256; place += 1) {
    picture.data.set([table[3 * place], table[3 * place + 1], table[3 * place + 2], 255], 4 * place);
  }
  context.putImageData(picture, 0, 0);
}

// The ends of the scale and what lies between, as numbers.
export function ticks({ limits, signed }) {
  const bound = Math.max(Math.abs(limits[0]), Math.abs(limits[1]));
  return signed ? [-bound, 0, bound] : [limits[0], (limits[0] + limits[1]) / 2, limits[1]];
}
