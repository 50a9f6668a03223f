// What several maps say together, as maps.

import { together } from "./field.js";

export const MEAN = "mean of methods";
export const SPREAD = "disagreement";

// The mean of all methods' ranks and their spread, as maps.
export function joined(all) {
  const maps = all.filter((map) => map.full && map.status !== "constant");
  if (!maps.length) return {};
  const { mean, spread } = together(maps.map((map) => map.full));
  const as = (title, full, limits, note) => [
    title,
    { title, full, field: full, limits, signed: false, index: -1, under: [note] },
  ];
  return Object.fromEntries([
    as(MEAN, mean, [0.5, 1], "mean of the maps’ ranks, 1 is the most important pixel of all "),
    as(SPREAD, spread, [0, 0.5], "spread of the maps’ ranks, 0 where all methods agree "),
  ]);
}
