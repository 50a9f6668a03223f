// The image at a point of its curve, made from the photo and the map: what is in, what is gone.

import { report } from "./report.js";

export const MADE = new Set(["blur", "zero", "black", "mean", "noise"]);
export const REPLACED = "#3b7dd8"; // what is replaced in a slice: no gray
const BLUR = 2.92; // pixels of standard deviation of the project's blur, a Gaussian with σ = 5 cut off after 11 pixels,
const UP_TO = 224; // in images whose shorter side is no longer; wider in proportion beyond

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

// Draws a slice of a volume after a share of the way: what is replaced there lies under one colour. slice: its part of
// the places of `steps`, as a mask has it, along the axis that is seen. Returns the share of the slice that is replaced.
export function replaced(canvas, { photo, steps, curve, share, slice: { inside: places, height, width } }) {
  const done = Math.round((curve.backwards ? 1 - share : share) * steps.steps);
  const mask = layer(width, height);
  const picture = mask.createImageData(width, height);
  const colour = [1, 3, 5].map((from) => Number.parseInt(REPLACED.slice(from, from + 2), 16));
  let gone = 0;
  for (let place = 0; place < places.length; place += 1) {
    if (places[place] < done === (curve.way === "in")) continue;
    picture.data.set([...colour, 255], 4 * place);
    gone += 1;
  }
  mask.putImageData(picture, 0, 0);
  canvas.width = photo.naturalWidth ?? photo.width; // along another axis the slice is a canvas itself
  canvas.height = photo.naturalHeight ?? photo.height;
  const context = canvas.getContext("2d");
  context.drawImage(photo, 0, 0);
  context.imageSmoothingEnabled = false;
  context.drawImage(mask.canvas, 0, 0, canvas.width, canvas.height);
  return gone / places.length;
}

function layer(width, height) {
  const canvas = document.createElement("canvas");
  canvas.width = width;
  canvas.height = height;
  return canvas.getContext("2d");
}

// The part of the photo that the network saw, over the whole canvas; black where it reaches beyond the photo.
function drawSeen(context, image, photo, width, height) {
  const [top, left, bottom, right] = image.box;
  const seen = layer(width, height);
  seen.fillStyle = "#000";
  seen.fillRect(0, 0, width, height);
  const [across, down] = [width / (right - left), height / (bottom - top)];
  seen.drawImage(photo, -left * across, -top * down, across, down);
  context.drawImage(seen.canvas, 0, 0);
}

// The same blurred, its edges mirrored, or it would grow dark there.
function drawBlurred(context, image, photo, width, height) {
  const seen = layer(width, height);
  drawSeen(seen, image, photo, width, height);
  const wide = layer(3 * width, 3 * height);
  for (const down of [0, 1, 2]) {
    for (const across of [0, 1, 2]) {
      const [x, y] = [across === 1 ? 1 : -1, down === 1 ? 1 : -1];
      wide.setTransform(x, 0, 0, y, (across + (x < 0)) * width, (down + (y < 0)) * height);
      wide.drawImage(seen.canvas, 0, 0);
    }
  }
  const soft = layer(width, height);
  soft.filter = `blur(${BLUR * Math.max(1, Math.min(width, height) / UP_TO)}px)`;
  soft.drawImage(wide.canvas, -width, -height);
  context.drawImage(soft.canvas, 0, 0);
}

function drawFilling(context, image, photo, baseline, width, height) {
  if (baseline === "blur") {
    drawBlurred(context, image, photo, width, height);
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
