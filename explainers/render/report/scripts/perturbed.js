// The image at a point of its curve, made from the photo and the map: what is in, what is gone.

import { report } from "./report.js";

export const MADE = new Set(["blur", "zero", "black", "mean", "noise"]);
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
