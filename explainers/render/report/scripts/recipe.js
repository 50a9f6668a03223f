// How to make an image's maps again: the command and the Python, to be copied.

import { element } from "./numbers.js";
import { report } from "./report.js";
import { state } from "./state.js";

// A section with a method to choose, or null where nothing is known of how they were made.
export function recipes(image) {
  const known = report.methods.filter((method) => (method.command || method.python) && image.maps.some((map) => report.titles[map.method] === method.title));
  if (!known.length || !image.path) return null;
  const method = element("select", { "aria-label": "Method" }, ...known.map((each) => element("option", {}, each.title)));
  if (known.some((each) => each.title === state.method)) method.value = state.method;
  const body = element("div", {});
  const draw = () => {
    const found = known.find((each) => each.title === method.value);
    const path = image.path;
    const { target } = image.maps.find((map) => report.titles[map.method] === found.title);
    const place = ownFolder(image.name, found.title, target);
    const parts = [];
    if (found.command) parts.push(...code("Command", filled(found.command, shellQuoted(path), shellQuoted(target), place)));
    if (found.python) parts.push(...code("Python", filled(found.python, JSON.stringify(path), /^\d+$/.test(target) ? target : JSON.stringify(target))));
    body.replaceChildren(...parts);
  };
  method.addEventListener("change", draw);
  draw();
  return element("section", { class: "again" }, element("div", { class: "head" }, element("h3", {}, "Make this map again"), method), body);
}

function code(title, text) {
  const copy = element("button", { type: "button", "aria-label": `Copy ${title}` }, "Copy");
  copy.addEventListener("click", async () => {
    try {
      await navigator.clipboard.writeText(text);
      copy.textContent = "Copied";
    } catch {
      getSelection().selectAllChildren(body);
      copy.textContent = "Selected: copy with Ctrl-C";
    }
    setTimeout(() => {
      copy.textContent = "Copy";
    }, 2500);
  });
  const body = element("pre", {}, text);
  return [element("h4", {}, title, copy), body];
}

// A recipe for this image, with the class of its map where each image has its own.
function filled(text, path, target, place = "") {
  return text.replace("\0photo\0", () => path).replace("\0target\0", () => target).replace("\0place\0", () => place);
}

// A folder of its own for each map: a command refuses one with the maps of another.
function ownFolder(...parts) {
  return `map-${parts.map((part) => part.replaceAll(/[^A-Za-z0-9.]+/g, "_").slice(0, 60)).join("-")}`;
}

// A word as a POSIX shell takes it.
function shellQuoted(word) {
  return /^[\w@%+=:,./-]+$/.test(word) ? word : `'${word.replaceAll("'", `'"'"'`)}'`;
}
