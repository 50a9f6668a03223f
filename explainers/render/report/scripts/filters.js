// Which images are shown, and in which order.

import { report } from "./report.js";
import { ALL, scoreOf, state } from "./state.js";

export const RESULTS = [
  ["all", "all images"],
  ["right", "read rightly"],
  ["wrong", "misread"],
  ["constant", "map shows nothing"],
  ["failed", "failed, or no map"],
  ["nophoto", `${report.kind} missing`],
];

const PASSES = {
  all: () => true,
  right: (image) => image.right === true,
  wrong: (image) => image.right === false,
  constant: (image) => chosenMaps(image).some((map) => map.status === "constant"),
  failed: (image) => Boolean(image.problem) || chosenMaps(image).some((map) => !map.grid),
  nophoto: (image) => Boolean(image.lacking),
};

function chosenMaps(image) {
  const own = image.maps.filter((map) => map.method < report.methods.length);
  return state.method === ALL ? own : own.filter((map) => report.titles[map.method] === state.method);
}

export function results() {
  return RESULTS.map(([key, label]) => [key, label, report.images.filter(PASSES[key]).length]).filter(
    ([key, , count]) => key === "all" || count > 0 || key === state.result,
  );
}

export function classes() {
  const found = new Map();
  for (const image of report.images) {
    for (const name of new Set([image.predicted, image.true])) {
      if (name) found.set(name, (found.get(name) ?? 0) + 1);
    }
  }
  return [...found].sort(([one], [other]) => one.localeCompare(other));
}

export function scoreNames() {
  const known = report.scores.map((score) => score.name);
  const has = (key) => report.images.some((image) => image[key] !== null && image[key] !== undefined);
  return [...(has("probability") ? ["probability"] : []), ...(has("disagreement") ? ["disagreement"] : []), ...known];
}

export function valueOf(image, name) {
  if (name === "probability" || name === "disagreement") return image[name] ?? null;
  return scoreOf(image, name);
}

export function sorts() {
  const found = [
    ["order", "as explained"],
    ["name", "file name"],
  ];
  for (const name of scoreNames()) {
    if (name === "probability") {
      found.push(["probability-", "least sure first"], ["probability+", "most sure first"]);
    } else if (name === "disagreement") {
      found.push(["disagreement+", "methods disagree most"], ["disagreement-", "methods agree most"]);
    } else {
      const better = report.scores.find((score) => score.name === name).better;
      const [low, high] =
        better === "higher" ? ["worst", "best"] : better === "lower" ? ["best", "worst"] : ["lowest", "highest"];
      found.push([`${name}-`, `${name}: ${low} first`], [`${name}+`, `${name}: ${high} first`]);
    }
  }
  return found;
}

// What an address asks for, without what this report does not have.
export function possible(asked) {
  const found = { ...asked };
  if (!RESULTS.some(([key]) => key === found.result)) found.result = "all";
  if (!classes().some(([name]) => name === found.class)) found.class = "";
  if (!sorts().some(([key]) => key === found.sort)) found.sort = "order";
  if (!scoreNames().includes(found.score)) Object.assign(found, { score: "", least: null, most: null });
  return found;
}

// The images that pass, in order.
export function chosen() {
  const words = state.text.toLowerCase().split(/\s+/).filter(Boolean);
  const passes = PASSES[state.result] ?? PASSES.all;
  const found = report.images.filter((image) => {
    if (!passes(image)) return false;
    if (state.class && image.predicted !== state.class && image.true !== state.class) return false;
    if (words.length) {
      const text = `${image.name} ${image.predicted} ${image.true} ${image.maps.map((map) => map.target).join(" ")}`;
      if (!words.every((word) => text.toLowerCase().includes(word))) return false;
    }
    if (state.score && (state.least !== null || state.most !== null)) {
      const value = valueOf(image, state.score);
      if (value === null || (state.least !== null && value < state.least)) return false;
      if (state.most !== null && value > state.most) return false;
    }
    return true;
  });
  return sorted(found);
}

function sorted(images) {
  if (state.sort === "order") return images;
  if (state.sort === "name") return images.sort((one, other) => one.name.localeCompare(other.name));
  const [name, sign] = [state.sort.slice(0, -1), state.sort.endsWith("-") ? 1 : -1];
  const key = new Map(images.map((image) => [image, valueOf(image, name)]));
  return images.sort((one, other) => {
    const [first, second] = [key.get(one), key.get(other)];
    if (first === null || second === null) return (first === null) - (second === null) || one.index - other.index;
    return sign * (first - second) || one.index - other.index;
  });
}

// What the order goes by, of an image: for its card.
export function sortValue(image) {
  if (state.sort === "order" || state.sort === "name") return null;
  const name = state.sort.slice(0, -1);
  return name === "probability" ? null : [name, valueOf(image, name)];
}

