// Puts the parts together: tabs, toolbar, gallery, viewer, and the address.

import { chart } from "./chart.js";
import { chosen, classes, possible, results, scoreNames, sorts } from "./filters.js";
import { Gallery } from "./gallery.js";
import { element } from "./numbers.js";
import { report } from "./report.js";
import { ALL, choose, onChange, readAddress, setOpacity, state } from "./state.js";
import { Viewer } from "./viewer.js";

const id = (name) => document.getElementById(name);
let gallery = null;
let viewer = null;

function options(select, entries, value) {
  select.replaceChildren(...entries.map(([key, label]) => element("option", { value: key }, label)));
  select.value = value;
  if (select.selectedIndex < 0) select.selectedIndex = 0;
}

function tabs() {
  const parts = [...document.querySelectorAll(".part")];
  const list = document.querySelector(".tabs");
  if (parts.length < 2) return;
  document.body.classList.add("tabbed");
  const show = (part, focus = false) => {
    for (const each of parts) {
      const own = each === part;
      each.hidden = !own;
      const tab = id(`tab-${each.id}`);
      tab.setAttribute("aria-selected", own);
      tab.tabIndex = own ? 0 : -1;
      if (own && focus) tab.focus();
    }
    gallery?.layout();
  };
  for (const part of parts) {
    const tab = element("button", { type: "button", role: "tab", id: `tab-${part.id}`, "aria-controls": part.id }, part.dataset.title);
    tab.addEventListener("click", () => show(part));
    part.setAttribute("role", "tabpanel");
    part.setAttribute("aria-labelledby", tab.id);
    list.append(tab);
  }
  list.addEventListener("keydown", (event) => {
    const at = parts.findIndex((part) => !part.hidden);
    const to = { ArrowRight: at + 1, ArrowLeft: at - 1, Home: 0, End: parts.length - 1 }[event.key];
    if (to === undefined) return;
    event.preventDefault();
    show(parts[(to + parts.length) % parts.length], true);
  });
  list.hidden = false;
  show(parts[0]);
  return (name = "") => show(parts.find((part) => part.id === `part-${name}`) ?? parts[0], Boolean(name));
}

function toolbar() {
  options(id("result"), results().map(([key, label, count]) => [key, `${label} (${count})`]), state.result);
  options(id("class"), [["", "every class"], ...classes().map(([name, count]) => [name, `${name} (${count})`])], state.class);
  options(id("sort"), sorts(), state.sort);
  const every = report.methods.length > 1 ? [[ALL, "all side by side"]] : [];
  const drawn = report.images.some((image) => image.maps.some((map) => map.grid));
  for (const name of ["method", "opacity"]) id(name).closest("label").hidden = !drawn; // there is nothing to choose
  options(id("method"), [...report.methods.map(({ title }) => [title, title]), ...every], state.method);
  options(id("score"), scoreNames().map((name) => [name, name]), state.score);
  id("text").value = state.text;
  id("opacity").value = state.opacity;
  for (const key of ["least", "most"]) id(key).value = state[key] ?? "";
}

function show() {
  const images = chosen();
  gallery.show(images);
  const all = `${report.images.length} ${report.images.length === 1 ? "image" : "images"}`;
  id("count").textContent = images.length === report.images.length ? all : `${images.length} of ${all}`;
  id("clear").hidden = images.length === report.images.length;
}

function listen() {
  id("toolbar").addEventListener("submit", (event) => event.preventDefault());
  for (const key of ["result", "class", "sort", "method"]) {
    id(key).addEventListener("change", () => choose({ [key]: id(key).value }));
  }
  id("text").addEventListener("input", () => choose({ text: id("text").value }));
  for (const key of ["score", "least", "most"]) {
    id(key).addEventListener("input", () => {
      const number = (name) => (id(name).value === "" ? null : Number(id(name).value));
      choose({ score: id("score").value, least: number("least"), most: number("most") });
    });
  }
  id("opacity").addEventListener("input", () => setOpacity(id("opacity").value));
  id("clear").addEventListener("click", () => {
    choose({ text: "", result: "all", class: "", least: null, most: null });
    toolbar();
  });
  onChange((keys) => {
    id("lost").hidden = true;
    if (keys.length === 1 && keys[0] === "image") return;
    if (keys.includes("method")) {
      options(id("result"), results().map(([key, label, count]) => [key, `${label} (${count})`]), state.result);
    }
    show();
  });
  addEventListener("beforeprint", () => {
    gallery.everything = true;
    gallery.draw();
  });
  addEventListener("afterprint", () => {
    gallery.everything = false;
    gallery.draw();
  });
  addEventListener("hashchange", go);
}

// What the address asks for.
function go() {
  const asked = possible(readAddress());
  const { image, ...rest } = asked;
  Object.assign(state, rest);
  toolbar();
  if (state.least !== null || state.most !== null) id("score").closest("details").open = true;
  show();
  const found = report.images.find((each) => each.name === image);
  id("lost").hidden = Boolean(found) || !image;
  id("lost").textContent = `The address asks for an image that is not in this report: ${image}`;
  if (found && (state.image !== image || !viewer.node.open)) viewer.open(found);
  else if (!found && viewer.node.open) viewer.node.close();
}

function theme() {
  const root = document.documentElement;
  const kept = () => {
    try {
      return localStorage.getItem("explainers-theme");
    } catch {
      return null;
    }
  };
  if (kept()) root.dataset.theme = kept();
  id("theme").addEventListener("click", () => {
    const dark = root.dataset.theme ? root.dataset.theme === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
    root.dataset.theme = dark ? "light" : "dark";
    try {
      localStorage.setItem("explainers-theme", root.dataset.theme);
    } catch {
      // a browser that keeps nothing for pages from a file
    }
  });
}

function agreement() {
  for (const cell of document.querySelectorAll(".matrix td.cell")) {
    if (cell.dataset.value === "") continue;
    const value = Number(cell.dataset.value);
    const colour = value < 0 ? "var(--bad)" : "var(--accent)";
    cell.style.background = `color-mix(in srgb, ${colour} ${Math.round(30 * Math.abs(value))}%, transparent)`;
  }
}

function start() {
  theme();
  if (innerWidth < 640) document.querySelector(".cautions")?.removeAttribute("open");
  agreement();
  setOpacity(state.opacity);
  if (report.images.length) {
    viewer = new Viewer(id("viewer"), (image) => {
      const images = gallery.images;
      const place = images.indexOf(image);
      return [images[place - 1], place < 0 ? null : images[place + 1], place, images.length];
    });
    gallery = new Gallery(id("gallery"), (image) => viewer.open(image));
    viewer.onClose = (image) => {
      const place = gallery.images.indexOf(image);
      if (place >= 0) gallery.focus(place);
    };
    listen();
  }
  const first = tabs();
  for (const link of document.querySelectorAll("a.figure")) {
    link.addEventListener("click", (event) => {
      if (!first) return;
      event.preventDefault();
      first(link.dataset.part);
    });
  }
  for (const button of document.querySelectorAll("button.figure")) {
    button.addEventListener("click", () => {
      first?.();
      choose({ result: button.dataset.result });
      toolbar();
    });
  }
  for (const each of report.charts) {
    id("charts").append(chart({ ...each, label: `${each.title} over ${each.axis}: ${each.lines.map((line) => line.label).join(", ")}` }).node);
  }
  if (report.images.length) go();
}

start();
