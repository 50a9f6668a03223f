// A volume as slices: its maps and its mask lie on the page as one field, the slices below each other.

import { element } from "./numbers.js";
import { report } from "./report.js";

// What each of the images is: a photo, volume, signal or clip.
export const kindOf = () => report.kind ?? "photo";

// What its positions are called.
export const placesOf = () => ({ volume: "voxels", signal: "samples" })[kindOf()] ?? "pixels";

// How many there are, 1 of what is no volume.
export const countOf = (image) => image.slices?.at.length ?? 1;

// One slice of a field {values, height, width}, or the field itself.
export function sliceOf(field, image, at) {
  if (!image.slices || !field) return field;
  const height = field.height / countOf(image);
  return { values: field.values.subarray(at * height * field.width, (at + 1) * height * field.width), height, width: field.width };
}

// The same of a mask {inside, height, width}.
export function maskSlice(mask, image, at) {
  if (!image.slices || !mask) return mask;
  const height = mask.height / countOf(image);
  return { inside: mask.inside.subarray(at * height * mask.width, (at + 1) * height * mask.width), height, width: mask.width };
}

// Where a map is strongest; without a map, where the first is that there is.
export function peakOf(image, index) {
  if (!image.slices) return 0;
  const map = image.maps[index]?.grid ? image.maps[index] : image.maps.find((each) => each.grid);
  return map?.slice ?? Math.floor(countOf(image) / 2);
}

// "z 12 of 0 … 19".
export function toldSlice(image, at) {
  const { axis, at: places, of } = image.slices;
  return `${axis} ${places[at]} of 0 … ${of - 1}`;
}

// The slider, what it says, and the way back to where the map is strongest. turn: to a slice; strongest: which that is.
export class SliceControl {
  constructor(image, at, turn, strongest) {
    this.image = image;
    const count = countOf(image);
    this.input = element("input", { type: "range", min: 0, max: count - 1, step: 1, value: at });
    this.input.addEventListener("input", () => turn(Number(this.input.value)));
    this.told = element("span", { class: "told" });
    const label = element("label", { class: "slide slices" }, "Slice", this.input, this.told);
    this.nodes = [label, element("button", { type: "button", onclick: () => turn(strongest()) }, "Strongest slice")];
    if (count < image.slices.of) {
      this.nodes.push(element("span", { class: "fewer" }, `${count} of ${image.slices.of} slices are kept`));
    }
    this.show(at);
  }

  show(at) {
    this.input.value = at;
    this.told.textContent = toldSlice(this.image, at);
    this.input.setAttribute("aria-valuetext", this.told.textContent);
  }
}
