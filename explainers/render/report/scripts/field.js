// Arithmetic of maps: enlarging, single values, order, regions.

import { clamp } from "./numbers.js";

// Bilinear, corners not aligned: as the project enlarges its maps.
export function resized(map, height, width) {
  if (map.height === height && map.width === width) return map;
  const values = new Float32Array(height * width);
  const columns = weights(map.width, width);
  const rows = weights(map.height, height);
  for (let y = 0; y < height; y += 1) {
    const [top, bottom, down] = [rows.first[y] * map.width, rows.second[y] * map.width, rows.share[y]];
    for (let x = 0; x < width; x += 1) {
      const [left, right, across] = [columns.first[x], columns.second[x], columns.share[x]];
      const upper = map.values[top + left] + across * (map.values[top + right] - map.values[top + left]);
      const lower = map.values[bottom + left] + across * (map.values[bottom + right] - map.values[bottom + left]);
      values[y * width + x] = upper + down * (lower - upper);
    }
  }
  return { values, height, width };
}

function weights(from, to) {
  const first = new Int32Array(to);
  const second = new Int32Array(to);
  const share = new Float32Array(to);
  for (let place = 0; place < to; place += 1) {
    const at = Math.max(0, ((place + 0.5) * from) / to - 0.5);
    first[place] = Math.min(from - 1, Math.floor(at));
    second[place] = Math.min(from - 1, first[place] + 1);
    share[place] = at - first[place];
  }
  return { first, second, share };
}

// The value at (x, y), 0 … 1 of the map's width and height.
export function valueAt(map, x, y) {
  const column = clamp(x * map.width - 0.5, 0, map.width - 1);
  const row = clamp(y * map.height - 0.5, 0, map.height - 1);
  const [left, top] = [Math.floor(column), Math.floor(row)];
  const [right, bottom] = [Math.min(left + 1, map.width - 1), Math.min(top + 1, map.height - 1)];
  const at = (r, c) => map.values[r * map.width + c];
  const upper = at(top, left) + (column - left) * (at(top, right) - at(top, left));
  const lower = at(bottom, left) + (column - left) * (at(bottom, right) - at(bottom, left));
  return upper + (row - top) * (lower - upper);
}

// Pixels from the largest value to the smallest, equal ones in the order of their position.
export function order(map) {
  const places = new Uint32Array(map.values.length);
  for (let place = 0; place < places.length; place += 1) places[place] = place;
  const { values } = map;
  return places.sort((one, other) => values[other] - values[one] || one - other);
}

// The place of each pixel in the order, 0 for the largest value; with patches, of its patch. {places, steps}
export function steps(map, patch = 1) {
  const { height, width } = map;
  const places = new Uint32Array(height * width);
  if (patch <= 1) {
    order(map).forEach((pixel, place) => {
      places[pixel] = place;
    });
    return { places, steps: places.length };
  }
  const [down, across] = [Math.ceil(height / patch), Math.ceil(width / patch)];
  const largest = new Float32Array(down * across).fill(-Infinity);
  const owner = (pixel) => Math.floor(Math.floor(pixel / width) / patch) * across + Math.floor((pixel % width) / patch);
  for (let pixel = 0; pixel < places.length; pixel += 1) {
    largest[owner(pixel)] = Math.max(largest[owner(pixel)], map.values[pixel]);
  }
  const patches = new Uint32Array(largest.length);
  order({ values: largest }).forEach((each, place) => {
    patches[each] = place;
  });
  for (let pixel = 0; pixel < places.length; pixel += 1) places[pixel] = patches[owner(pixel)];
  return { places, steps: largest.length };
}

// Each pixel's rank, 0 for the lowest value and 1 for the highest; equal values share their mean.
export function ranks(map) {
  const sorted = order(map).reverse();
  const found = new Float32Array(sorted.length);
  for (let begin = 0; begin < sorted.length; ) {
    let end = begin + 1;
    while (end < sorted.length && map.values[sorted[end]] === map.values[sorted[begin]]) end += 1;
    for (let place = begin; place < end; place += 1) {
      found[sorted[place]] = (begin + end - 1) / 2 / Math.max(1, sorted.length - 1);
    }
    begin = end;
  }
  return { ...map, values: found };
}

// The value from which a region begins: at a share of the way from the lowest value (of signed maps from 0) to the
// highest, or so that the region has a share of the area.
export function thresholdOf(map, share, by, signed) {
  if (by === "area") {
    const sorted = Float32Array.from(map.values).sort();
    return sorted[clamp(sorted.length - Math.round(share * sorted.length), 0, sorted.length - 1)];
  }
  let [low, high] = [Infinity, -Infinity];
  for (const value of map.values) {
    if (value < low) low = value;
    if (value > high) high = value;
  }
  if (signed) low = Math.min(0, high);
  return low + share * (high - low);
}

// Share of the area from a threshold on, and intersection over union with a mask of the map's size, where there is one.
export function regionOf(map, threshold, mask) {
  let [count, both, either] = [0, 0, 0];
  for (let place = 0; place < map.values.length; place += 1) {
    const inside = map.values[place] >= threshold;
    count += inside;
    if (mask) {
      both += inside && mask.inside[place];
      either += inside || mask.inside[place];
    }
  }
  return { share: count / map.values.length, iou: mask ? (either ? both / either : 0) : null };
}

// Mean of the maps' ranks, and their spread: where the methods point to the same, and where they do not.
export function together(maps) {
  const all = maps.map(ranks);
  const { height, width } = all[0];
  const mean = new Float32Array(height * width);
  const spread = new Float32Array(height * width);
  for (let place = 0; place < mean.length; place += 1) {
    let [sum, squares] = [0, 0];
    for (const map of all) {
      sum += map.values[place];
      squares += map.values[place] ** 2;
    }
    mean[place] = sum / all.length;
    spread[place] = Math.sqrt(Math.max(0, squares / all.length - mean[place] ** 2));
  }
  return { mean: { values: mean, height, width }, spread: { values: spread, height, width } };
}
