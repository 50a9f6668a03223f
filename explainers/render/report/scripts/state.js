// What the report holds, what is chosen, and the address that says so.

import { clamp } from "./numbers.js";
import { report } from "./report.js";

report.titles = [...report.methods, ...report.controls].map((method) => method.title);
report.images.forEach((image, index) => {
  image.index = index;
});

export const ALL = "*"; // all methods side by side

export const state = {
  method: report.methods.length ? report.methods[0].title : "",
  opacity: Math.round(100 * report.opacity),
  result: "all",
  class: "",
  text: "",
  sort: "order",
  score: "",
  least: null,
  most: null,
  image: "",
  panes: null, // titles shown side by side, null for the first few
  threshold: 0,
  by: "value",
};

const told = { method: "", result: "all", class: "", text: "", sort: "order", score: "", least: null, most: null, image: "" };
told.method = state.method;
const listeners = [];

export function onChange(listener) {
  listeners.push(listener);
}

// Changes what is chosen, tells everyone, and writes the address.
export function choose(values) {
  Object.assign(state, values);
  writeAddress();
  for (const listener of listeners) listener(Object.keys(values));
}

export function address(image = state.image) {
  const parts = new URLSearchParams();
  for (const [key, plain] of Object.entries(told)) {
    const value = key === "image" ? image : state[key];
    const idle = key === "score" && state.least === null && state.most === null;
    if (value !== plain && value !== "" && !idle) parts.set(key, value);
  }
  return `#${parts.toString()}`;
}

function writeAddress() {
  const next = address();
  if (next === (location.hash || "#")) return;
  try {
    history.replaceState(null, "", next);
  } catch {
    location.hash = next; // a browser that lets no page from a file do that
  }
}

export function readAddress() {
  const parts = new URLSearchParams(location.hash.slice(1));
  const found = {};
  for (const [key, plain] of Object.entries(told)) found[key] = parts.get(key) ?? plain;
  for (const key of ["least", "most"]) {
    found[key] = found[key] && Number.isFinite(Number(found[key])) ? Number(found[key]) : null;
  }
  if (found.method !== ALL && !report.methods.some((method) => method.title === found.method)) {
    found.method = told.method;
  }
  return found;
}

// The index of the map of an image by the chosen method, -1 where it has none.
export function mapOf(image, title = state.method) {
  const place = report.titles.indexOf(title);
  return image.maps.findIndex((map) => map.method === place);
}

export function scoreOf(image, name, title = state.method) {
  const place = report.scores.findIndex((score) => score.name === name);
  const at = title === ALL ? image.maps.findIndex((map) => map.method < report.methods.length) : mapOf(image, title);
  return at < 0 || place < 0 ? null : image.maps[at].values[place];
}

export function setOpacity(value) {
  state.opacity = clamp(Number(value), 0, 100);
  document.documentElement.style.setProperty("--heat", state.opacity / 100);
}
