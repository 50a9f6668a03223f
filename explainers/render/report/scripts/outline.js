// The border of a region as a path: marching squares, straight between the pixels' centres.

// Edges of a cell that a border crosses, by which of its corners lie inside (1 upper left, 2 upper right, 4 lower
// right, 8 lower left); edges are 0 top, 1 right, 2 bottom, 3 left.
const CROSSED = [
  [],
  [[3, 0]],
  [[0, 1]],
  [[3, 1]],
  [[1, 2]],
  [
    [3, 0],
    [1, 2],
  ],
  [[0, 2]],
  [[3, 2]],
  [[2, 3]],
  [[2, 0]],
  [
    [0, 1],
    [2, 3],
  ],
  [[2, 1]],
  [[1, 3]],
  [[1, 0]],
  [[0, 3]],
  [],
];

// The path, in pixels of the map, around all values from the threshold on.
export function outline(map, threshold) {
  const { values, height, width } = map;
  const value = (row, column) =>
    row < 0 || column < 0 || row >= height || column >= width ? -Infinity : values[row * width + column];
  // Beyond the map there is nothing, and the border runs along its rim.
  const between = (from, to) =>
    Number.isFinite(from) && Number.isFinite(to) && from !== to ? (threshold - from) / (to - from) : 0.5;
  const parts = [];
  for (let row = -1; row < height; row += 1) {
    for (let column = -1; column < width; column += 1) {
      const corners = [value(row, column), value(row, column + 1), value(row + 1, column + 1), value(row + 1, column)];
      const kind = corners.reduce((sum, each, bit) => sum + (each >= threshold ? 1 << bit : 0), 0);
      for (const pair of CROSSED[kind]) {
        const ends = pair.map((edge) => {
          const [x, y] = [column + 0.5, row + 0.5];
          if (edge === 0) return [x + between(corners[0], corners[1]), y];
          if (edge === 1) return [x + 1, y + between(corners[1], corners[2])];
          if (edge === 2) return [x + between(corners[3], corners[2]), y + 1];
          return [x, y + between(corners[0], corners[3])];
        });
        parts.push(`M${ends[0].map((each) => each.toFixed(2)).join(" ")}L${ends[1].map((each) => each.toFixed(2)).join(" ")}`);
      }
    }
  }
  return parts.join("");
}

// The same of a mask.
export function maskOutline(mask) {
  return outline({ values: mask.inside, height: mask.height, width: mask.width }, 0.5);
}
