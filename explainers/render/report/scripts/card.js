// One image in the gallery: its photo with a map, and what the network says of it.

import { paint } from "./colour.js";
import { photoOf, rawMap } from "./data.js";
import { resized } from "./field.js";
import { sortValue } from "./filters.js";
import { described, laidOver } from "./laid.js";
import { element, percent, shortNumber } from "./numbers.js";
import { report } from "./report.js";
import { kindOf, peakOf, sliceOf } from "./slices.js";
import { ALL, mapOf, state } from "./state.js";

const CELLS = 112; // pixels of a small map's longer side

// The size of a photo in a square.
export function fitted([width, height], side) {
  const factor = side / Math.max(width, height);
  return [Math.max(1, Math.round(width * factor)), Math.max(1, Math.round(height * factor))];
}

// A photo with a map on it, as large as it fits into a square; filled as its parts arrive.
export function thumb(image, index, side) {
  const [width, height] = fitted(image.size, side);
  const stage = element("div", { class: "stage" });
  Object.assign(stage.style, { width: `${width}px`, height: `${height}px` });
  stage.classList.toggle("line", Boolean(image.line));
  const box = element("div", { class: "thumb" }, stage);
  Object.assign(box.style, { height: `${side}px` });
  fill(stage, image, index).catch((error) => box.append(element("p", { class: "blank" }, error.message)));
  return box;
}

async function fill(stage, image, index) {
  if (!image.lacking && !image.problem) {
    const photo = element("img", { alt: described(image, index), decoding: "async" });
    stage.append(photo);
    photo.src = await photoOf(image, peakOf(image, index));
  } else if (index < 0 || !image.maps[index]?.grid) {
    stage.append(element("p", { class: "blank" }, image.problem || image.lacking));
  }
  const map = sliceOf(await rawMap(image, index), image, peakOf(image, index));
  if (!map) return;
  const canvas = element("canvas", { class: "heat" });
  if (image.lacking) {
    canvas.setAttribute("role", "img");
    canvas.setAttribute("aria-label", described(image, index));
  }
  laidOver(canvas, image);
  paintSmall(canvas, map, image, index);
  stage.append(element("div", { class: "seen" }), canvas);
  laidOver(stage.querySelector(".seen"), image);
}

function paintSmall(canvas, map, image, index) {
  const factor = CELLS / Math.max(...image.input);
  const [height, width] = image.input.map((side) => Math.max(1, Math.round(side * Math.min(1, factor))));
  paint(canvas, resized(map, height, width), image.maps[index]);
}

function text(image, index) {
  const map = image.maps[index];
  const lines = [];
  if (image.predicted) {
    const sure = image.probability === null ? null : element("span", { class: "sure" }, ` ${percent(image.probability)}`);
    lines.push(element("span", { class: "said" }, image.predicted, sure));
  }
  const states = [];
  if (image.right === false) states.push(element("span", { class: "wrong" }, `✕ is ${image.true}`));
  else if (image.right === true) states.push(element("span", { class: "right" }, "✓ right"));
  if (image.problem) states.push(element("span", { class: "status" }, "failed"));
  else if (map?.status === "constant") states.push(element("span", { class: "status" }, "this map shows nothing"));
  else if (state.method !== ALL && !map?.grid) states.push(element("span", { class: "status" }, "no map"));
  else if (image.lacking) states.push(element("span", { class: "status" }, `${kindOf()} missing`));
  if (states.length > 1) states.splice(1, 0, ", ");
  if (states.length) lines.push(element("span", {}, ...states));
  const value = sortValue(image);
  if (value) lines.push(element("span", { class: "extra" }, `${value[0]} ${shortNumber(value[1])}`));
  lines.push(element("span", { class: "name", title: image.name }, image.name));
  return element("span", { class: "text" }, ...lines);
}

// A card of the grid.
export function card(image, side, open) {
  const index = mapOf(image);
  return element("button", { class: "card", type: "button", onclick: () => open(image) }, thumb(image, index, side), text(image, index));
}

// A line with all methods side by side.
export function row(image, side, open) {
  const parts = [element("span", { class: "method" }, thumb(image, -1, side), element("span", { class: "caption" }, kindOf()))];
  for (const method of report.methods) {
    const index = mapOf(image, method.title);
    const status = image.maps[index]?.status === "constant" ? " (shows nothing)" : index < 0 ? " (none)" : "";
    const caption = element("span", { class: "caption" }, `${method.title}${status}`);
    parts.push(element("span", { class: "method" }, thumb(image, index, side), caption));
  }
  for (const part of parts) part.style.width = `${side}px`;
  const strip = element("span", { class: "strip" }, ...parts);
  return element("button", { class: "card row", type: "button", onclick: () => open(image) }, text(image, -1), strip);
}

