// What a picture shows in words, and where a map lies on its photo.

import { report } from "./report.js";
import { kindOf, peakOf, toldSlice } from "./slices.js";

// What a picture shows, for those who do not see it.
export function described(image, index, slice = peakOf(image, index)) {
  const map = image.maps[index];
  const kind = image.slices ? `slice ${toldSlice(image, slice)} of ${kindOf()}` : kindOf();
  const said = image.predicted ? `, read as ${image.predicted}` : "";
  const truth = image.right === false ? `, which is wrong: it is ${image.true}` : "";
  if (!map) return `${kind[0].toUpperCase()}${kind.slice(1)} ${image.name}${said}${truth}`;
  const target = map.target ? ` of ${map.target}` : "";
  return `${report.titles[map.method]} map${target} on ${kind} ${image.name}${said}${truth}`;
}

// Puts something over the part of a photo that the network saw.
export function laidOver(node, image) {
  const [top, left, bottom, right] = image.box;
  Object.assign(node.style, {
    top: `${100 * top}%`,
    left: `${100 * left}%`,
    width: `${100 * (right - left)}%`,
    height: `${100 * (bottom - top)}%`,
  });
}

// The size, in pixels of the photo, of the part that the network saw: its input may be of another shape.
export function seenSize(image) {
  const [top, left, bottom, right] = image.box;
  return [image.size[0] * (right - left), image.size[1] * (bottom - top)];
}

// Gives a picture the shape of what it shows, [width, height]; the style sheet bounds both sides.
export function proportioned(node, [width, height]) {
  node.style.setProperty("--ratio", width / height);
}
