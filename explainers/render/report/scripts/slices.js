// A volume as slices: its maps and its mask lie on the page as one field, the slices below each other.

import { element } from "./numbers.js";
import { report } from "./report.js";

// What each of the images is: a photo, volume, signal or clip.
export const kindOf = () => report.kind ?? "photo";

// What its positions are called.
export const placesOf = () => ({ volume: "voxels", signal: "samples" })[kindOf()] ?? "pixels";

// How many there are, 1 of what is no volume.
export const countOf = (image) => image.slices?.at.length ?? 1;

const STEPS = 512; // along the axis of the kept slices, where it is seen from the side

// A volume as it is seen along another of its axes, out of the slices that are kept; itself along the axis of these.
export function turned(image, axis) {
  const { along, axes } = image.slices;
  if (axis === along) return image;
  const [down, across] = [0, 1, 2].filter((each) => each !== axis).map((each) => axes[each].extent);
  const length = axes[axis].length;
  const factor = Math.max(...image.size) / Math.max(down, across);
  const slices = { ...image.slices, axis: axes[axis].name, at: Array.from({ length }, (_, at) => at), of: length, turned: axis, stored: image.slices };
  return { ...image, size: [across, down].map((each) => Math.max(1, Math.round(each * factor))), slices };
}

// How a slice along another axis is put together: ofRows: it takes a row of each kept slice, else a column; depths: the
// kept slice at each of its steps, the nearest where not all are kept; first: these are its rows, else its columns.
function sides({ turned: axis, stored }) {
  const [rows, columns] = [0, 1, 2].filter((each) => each !== stored.along);
  const count = Math.min(stored.of, STEPS);
  const depths = Array.from({ length: count }, (_, step) => {
    const place = ((step + 0.5) * stored.of) / count - 0.5;
    return stored.at.reduce((best, each, at) => (Math.abs(each - place) < Math.abs(stored.at[best] - place) ? at : best), 0);
  });
  return { ofRows: axis === rows, depths, first: stored.along < (axis === rows ? columns : rows) };
}

// A slice along another axis of what is kept as slices below each other; between two rows or columns it is linear, or
// the nearest of them.
function fromTheSide({ values, height: all, width }, slices, at, nearest) {
  const { ofRows, depths, first } = sides(slices);
  const height = all / slices.stored.at.length;
  const [length, other] = ofRows ? [height, width] : [width, height];
  const place = Math.min(Math.max(((at + 0.5) * length) / slices.of - 0.5, 0), length - 1);
  const lower = nearest ? Math.round(place) : Math.floor(place);
  const [upper, share] = nearest ? [lower, 0] : [Math.min(lower + 1, length - 1), place - lower];
  const found = new values.constructor(depths.length * other);
  depths.forEach((depth, step) => {
    const start = depth * height * width;
    for (let each = 0; each < other; each += 1) {
      const value = (line) => values[start + (ofRows ? line * width + each : each * width + line)];
      found[first ? step * other + each : each * depths.length + step] = value(lower) + share * (value(upper) - value(lower));
    }
  });
  return first ? { values: found, height: depths.length, width: other } : { values: found, height: other, width: depths.length };
}

// The picture of a slice along another axis, out of those of all kept slices, as a canvas.
export function pictureFromTheSide(pictures, slices, at) {
  const { ofRows, depths, first } = sides(slices);
  const { naturalWidth: width, naturalHeight: height } = pictures[0];
  const [length, other] = ofRows ? [height, width] : [width, height];
  const line = Math.floor(((at + 0.5) * length) / slices.of);
  const canvas = element("canvas", { width: first ? other : depths.length, height: first ? depths.length : other });
  const context = canvas.getContext("2d");
  if (ofRows !== first) context.setTransform(0, 1, 1, 0, 0, 0); // a row becomes a column, or the other way round
  depths.forEach((depth, step) => {
    if (ofRows) context.drawImage(pictures[depth], 0, line, width, 1, 0, step, width, 1);
    else context.drawImage(pictures[depth], line, 0, 1, height, step, 0, 1, height);
  });
  return canvas;
}

// One slice of a field {values, height, width}, or the field itself.
export function sliceOf(field, image, at) {
  if (!image.slices || !field) return field;
  if (image.slices.stored) return fromTheSide(field, image.slices, at, false);
  const height = field.height / countOf(image);
  return { values: field.values.subarray(at * height * field.width, (at + 1) * height * field.width), height, width: field.width };
}

// The same of a mask {inside, height, width}.
export function maskSlice(mask, image, at) {
  if (!image.slices || !mask) return mask;
  if (image.slices.stored) {
    const { values, height, width } = fromTheSide({ ...mask, values: mask.inside }, image.slices, at, true);
    return { inside: values, height, width };
  }
  const height = mask.height / countOf(image);
  return { inside: mask.inside.subarray(at * height * mask.width, (at + 1) * height * mask.width), height, width: mask.width };
}

// Where a map is strongest; without a map, where the first is that there is.
export function peakOf(image, index) {
  if (!image.slices) return 0;
  const map = image.maps[index]?.grid ? image.maps[index] : image.maps.find((each) => each.grid);
  const place = image.slices.stored ? map?.peak?.[image.slices.turned] : map?.slice;
  return place ?? Math.floor(countOf(image) / 2);
}

// "z 12 of 0 … 19".
export function toldSlice(image, at) {
  const { axis, at: places, of } = image.slices;
  return `${axis} ${places[at]} of 0 … ${of - 1}`;
}

// How many values of a map are kept: "8 slices of 14 × 10 values".
export function valuesTold(map, image) {
  const count = countOf(image);
  const slices = count > 1 ? `${count} slices of ` : "";
  const values = map.of ? `of ${map.of[0]} × ${map.of[1]} values (of each block the largest)` : "values";
  return `${slices}${map.grid[0] / count} × ${map.grid[1]} ${values}`;
}

// The axes to choose from, the slider, what it says, and the way back to where the map is strongest. image: as it is seen;
// turn: to a slice; strongest: which that is; look: along an axis.
export class SliceControl {
  constructor(image, at, turn, strongest, look) {
    this.image = image;
    const count = countOf(image);
    const { axes, along, turned: other, stored } = image.slices;
    const buttons = axes.map(({ name }, axis) =>
      element("button", { type: "button", "aria-pressed": String(axis === (other ?? along)), onclick: () => look(axis) }, name),
    );
    const group = element("div", { class: "axes", role: "group", "aria-label": "Slices along" }, ...buttons);
    this.input = element("input", { type: "range", min: 0, max: count - 1, step: 1, value: at });
    this.input.addEventListener("input", () => turn(Number(this.input.value)));
    this.told = element("span", { class: "told" });
    const label = element("label", { class: "slide slices" }, "Slice", this.input, this.told);
    this.nodes = [group, label, element("button", { type: "button", onclick: () => turn(strongest()) }, "Strongest slice")];
    const kept = stored ?? image.slices;
    if (kept.at.length < kept.of) {
      const seen = stored ? ` along ${kept.axis}; between them the nearest is shown` : "";
      this.nodes.push(element("span", { class: "fewer" }, `${kept.at.length} of ${kept.of} slices are kept${seen}`));
    }
    this.show(at);
  }

  show(at) {
    this.input.value = at;
    this.told.textContent = toldSlice(this.image, at);
    this.input.setAttribute("aria-valuetext", this.told.textContent);
  }
}
