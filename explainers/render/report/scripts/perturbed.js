// The image at a point of its curve, made from the photo and the map: what is in, what is gone.

import { report } from "./report.js";

export const MADE = new Set(["blur", "zero", "black", "mean", "noise"]);
export const REPLACED = "#3b7dd8"; // what is replaced in a slice: no gray
const BLUR = 5 / 224; // σ of the project's blur, of the image's side

// Draws the image after a share of the way. photo: an <img> that is loaded; steps: as in field.js; curve: {way,
// backwards, baseline} of the score.
export function perturbed(canvas, { image, photo, steps, curve, share, height, width }) {
  canvas.width = width;
  canvas.height = height;
  const into = curve.way === "in";
  const done = Math.round((curve.backwards ? 1 - share : share) * steps.steps);
  const mask = layer(width, height);
  const picture = mask.createImageData(width, height);
  for (let pixel = 0; pixel < steps.places.length; pixel += 1) {
    picture.data[4 * pixel + 3] = steps.places[pixel] < done ? 255 : 0;
  }
  mask.putImageData(picture, 0, 0);
  mask.globalCompositeOperation = "source-in";
  const [below, above] = [layer(width, height), mask];
  drawFilling(into ? below : above, image, photo, curve.baseline, width, height);
  drawSeen(into ? above : below, image, photo, width, height);
  const context = canvas.getContext("2d");
  context.drawImage(below.canvas, 0, 0);
  context.drawImage(above.canvas, 0, 0);
}

// Draws a slice of a volume after a share of the way: what is replaced there lies under one colour. slice: the field of
// `steps` has `count` slices below each other, of which `at` is shown. Returns the share of the slice that is replaced.
export function replaced(canvas, { photo, steps, curve, share, width, slice: { at, count } }) {
  const size = steps.places.length / count;
  const done = Math.round((curve.backwards ? 1 - share : share) * steps.steps);
  const mask = layer(width, size / width);
  const picture = mask.createImageData(width, size / width);
  const colour = [1, 3, 5].map((from) => Number.parseInt(REPLACED.slice(from, from + 2), 16));
  let gone = 0;
  for (let place = 0; place < size; place += 1) {
    if (steps.places[at * size + place] < done === (curve.way === "in")) continue;
    picture.data.set([...colour, 255], 4 * place);
    gone += 1;
  }
  mask.putImageData(picture, 0, 0);
  canvas.width = photo.naturalWidth;
  canvas.height = photo.naturalHeight;
  const context = canvas.getContext("2d");
  context.drawImage(photo, 0, 0);
  context.imageSmoothingEnabled = false;
  context.drawImage(mask.canvas, 0, 0, canvas.width, canvas.height);
  return gone / size;
}

function layer(width, height) {
  const canvas = document.createElement("canvas");
  canvas.width = width;
  canvas.height = height;
  return canvas.getContext("2d");
}

// The part of the photo that the network saw, over the whole canvas; black where it reaches beyond the photo.
function drawSeen(context, image, photo, width, height, filter = "none") {
  const [top, left, bottom, right] = image.box;
  const seen = layer(width, height);
  seen.fillStyle = "#000";
  seen.fillRect(0, 0, width, height);
  seen.filter = filter;
  const [across, down] = [width / (right - left), height / (bottom - top)];
  seen.drawImage(photo, -left * across, -top * down, across, down);
  context.drawImage(seen.canvas, 0, 0);
}

function drawFilling(context, image, photo, baseline, width, height) {
  if (baseline === "blur") {
    drawSeen(context, image, photo, width, height, `blur(${Math.max(1, BLUR * Math.min(width, height))}px)`);
    return;
  }
  const filling = layer(width, height);
  if (baseline === "noise") {
    const noise = filling.createImageData(width, height);
    for (let place = 0; place < noise.data.length; place += 1) {
      noise.data[place] = place % 4 === 3 ? 255 : 256 * Math.random();
    }
    filling.putImageData(noise, 0, 0);
  } else {
    const colour = baseline === "zero" ? report.zero : baseline === "mean" ? (image.mean ?? report.zero) : [0, 0, 0];
    filling.fillStyle = `rgb(${colour.join(" ")})`;
    filling.fillRect(0, 0, width, height);
  }
  context.drawImage(filling.canvas, 0, 0);
}
