// A widget in a notebook: methods side by side on one image, beside others in the same page. `report` and `token` are
// given. Until everything is ready, and where no script runs, the host shows the picture that stands in it.

import { slider } from "./controls.js";
import { resized } from "./field.js";
import { joined, MEAN, SPREAD } from "./joined.js";
import { clamp, element, shortNumber } from "./numbers.js";
import { Pane } from "./pane.js";
import { report } from "./report.js";
import { SliceControl, countOf, kindOf, peakOf, pictureFromTheSide, toldSlice, turned, valuesTold } from "./slices.js";
import { unpackedMap, unpackedMask } from "./unpack.js";
import { View } from "./view.js";

class Widget extends View {
  constructor(host) {
    const told = element("div", { class: "visually-hidden", "aria-live": "polite" });
    super((text) => {
      told.textContent = text;
    }, true);
    const sheet = new CSSStyleSheet();
    sheet.replaceSync(report.style);
    Object.assign(this, { host, told, sheet, chosen: null });
  }

  async start() {
    await this.load(report.images[0]);
    const root = this.host.attachShadow({ mode: "open" });
    root.adoptedStyleSheets = [this.sheet];
    this.node = element("div", { class: "widget", role: "group", "aria-label": report.label });
    this.controls = element("div", { class: "controls" });
    this.who = element("p", { class: "who" });
    this.board = element("div", { class: "panes" });
    this.board.addEventListener("keydown", (event) => this.onKey(event));
    this.node.append(this.controls, this.who, this.board);
    for (const note of report.notes) this.node.append(element("p", { class: "told" }, note));
    root.append(this.node, this.told);
    this.light();
    // A notebook's own light or dark is known by the colour of its text alone, and may change: as a short transition.
    this.node.addEventListener("transitionend", () => this.light());
    // JupyterLab's change makes no transition, but an attribute of the page; and a widget may be out of sight meanwhile.
    new IntersectionObserver(() => this.light()).observe(this.host);
    const own = new WeakRef(this); // the page outlives a widget
    const changed = new MutationObserver(() => (own.deref() ? requestAnimationFrame(() => own.deref()?.light()) : changed.disconnect()));
    for (const node of [document.documentElement, document.body]) changed.observe(node, { attributes: true });
    this.draw();
  }

  light() {
    const context = element("canvas", { width: 1, height: 1 }).getContext("2d", { willReadFrequently: true });
    context.fillStyle = getComputedStyle(this.host).color;
    context.fillRect(0, 0, 1, 1);
    const [red, green, blue] = context.getImageData(0, 0, 1, 1).data;
    this.node.dataset.theme = 0.3 * red + 0.59 * green + 0.11 * blue > 127 ? "dark" : "light";
  }

  async load(image) {
    const pictures = (image.photos ?? [image.photo]).map((src) => element("img", { src, alt: "" }));
    await Promise.all(pictures.map((each) => each.decode()));
    const maps = [];
    for (const [index, map] of image.maps.entries()) {
      const [height, width] = map.grid;
      const field = { values: await unpackedMap(map, map.data), height, width };
      const mask = map.mask ? await unpackedMask(map.mask) : null;
      maps.push({ ...map, index, field, mask, full: image.slices ? field : resized(field, ...map.input), under: under(map, image) });
    }
    Object.assign(this, { image, pictures, maps, seen: image }); // seen: a volume along the axis that is chosen
    this.slice = this.strongest();
    this.reset();
  }

  // The slice in which the first of the maps that are shown is strongest.
  strongest() {
    const shown = this.maps.filter((map) => map.status !== "constant" && this.wanted().includes(map.title));
    return peakOf(this.seen, shown[0]?.index);
  }

  photo() {
    const { slices } = this.seen;
    return slices?.stored ? pictureFromTheSide(this.pictures, slices, this.slice) : this.pictures[this.slice];
  }

  // Shows another slice in all panes, and says which.
  turnTo(slice) {
    this.slice = clamp(slice, 0, countOf(this.seen) - 1);
    this.slices.show(this.slice);
    const { activeElement } = this.node.getRootNode();
    const focused = this.panes.findIndex((pane) => pane.frame === activeElement);
    const { at } = this;
    this.drawPanes();
    this.panes[focused]?.frame.focus({ preventScroll: true });
    this.point(at); // which a frame that goes takes with it
    this.tell(toldSlice(this.seen, this.slice));
  }

  // Looks along another axis of a volume, where the map is strongest.
  look(axis) {
    const focused = this.controls.contains(this.node.getRootNode().activeElement);
    this.seen = turned(this.image, axis);
    this.slice = this.strongest();
    this.zoomBy(0);
    this.drawControls();
    if (focused) this.controls.querySelectorAll(".axes button")[axis].focus();
    this.turnTo(this.slice);
  }

  onKey(event) {
    if (!this.seen.slices || event.altKey || event.ctrlKey || event.metaKey) return;
    const turn = { PageUp: 1, PageDown: -1 }[event.key];
    if (turn) this.turnTo(this.slice + turn);
    else if (["1", "2", "3"].includes(event.key)) this.look(Number(event.key) - 1);
    else return;
    event.preventDefault();
    event.stopPropagation(); // notebooks have keys of their own
  }

  titles() {
    const own = this.maps.map((map) => map.title);
    const several = this.maps.filter((map) => map.status !== "constant").length > 1;
    return ["photo", ...own, ...(report.several && several ? [MEAN, SPREAD] : [])];
  }

  wanted() {
    const titles = this.titles();
    return titles.filter((title) => (this.chosen ? this.chosen.includes(title) : title !== MEAN && title !== SPREAD));
  }

  draw() {
    this.drawControls();
    this.who.textContent = this.image.said;
    this.drawPanes();
  }

  drawControls() {
    const chips = element("fieldset", {}, element("legend", {}, "Shown side by side"));
    for (const title of this.titles()) {
      const input = element("input", { type: "checkbox", checked: this.wanted().includes(title) });
      input.addEventListener("change", () => {
        const now = this.wanted();
        this.chosen = this.titles().filter((each) => (each === title ? input.checked : now.includes(each)));
        this.drawPanes();
      });
      chips.append(element("label", { class: "chip" }, input, element("span", {}, title === "photo" ? kindOf() : title)));
    }
    const opacity = slider("Opacity", report.opacity, (value, said) => {
      said.textContent = `${value} %`;
      report.opacity = value;
      this.node.style.setProperty("--heat", value / 100);
    });
    this.node.style.setProperty("--heat", report.opacity / 100);
    const whole = element("button", { type: "button", onclick: () => this.zoomBy(0) }, "Whole picture");
    const turn = (at) => this.turnTo(at);
    const strongest = () => this.strongest();
    this.slices = this.seen.slices ? new SliceControl(this.seen, this.slice, turn, strongest, (axis) => this.look(axis)) : null;
    const choice = report.images.length > 1 ? [this.images()] : [];
    this.controls.replaceChildren(...choice, ...(this.slices?.nodes ?? []), chips, opacity, whole);
  }

  images() {
    const select = element("select", { "aria-label": "Image" });
    report.images.forEach((image, index) => select.append(element("option", { value: index }, image.name)));
    select.value = report.images.indexOf(this.image);
    select.addEventListener("change", async () => {
      await this.load(report.images[select.value]);
      this.draw();
      this.controls.querySelector("select").focus();
    });
    return select;
  }

  drawPanes() {
    const all = new Map(this.maps.map((map) => [map.title, map]));
    const wanted = this.wanted();
    if (wanted.includes(MEAN) || wanted.includes(SPREAD)) {
      for (const [title, map] of Object.entries(joined(this.maps))) all.set(title, map);
    }
    const photo = this.photo();
    this.panes = wanted.map((title) => {
      const map = all.get(title) ?? null;
      return new Pane(this.seen, photo, map, map?.mask ?? null, this);
    });
    this.board.replaceChildren(...this.panes.map((pane) => pane.node));
    for (const pane of this.panes) {
      pane.outline(0, "value");
      pane.transform();
    }
  }
}

function under(map, image) {
  const precise = (map.range[1] - map.range[0]) / (2 ** map.bits - 1) / 2;
  const values = [`${valuesTold(map, image)}, each `, element("span", { class: "whole" }, `± ${shortNumber(precise)}`)];
  const state = map.status === "ok" ? null : element("span", { class: "status" }, `${map.status}: it shows nothing; `);
  return [...(map.said && map.said !== image.said ? [map.said, "; "] : []), ...(state ? [state] : []), ...(map.note ? [map.note, "; "] : []), ...values];
}

function begin() {
  for (const host of document.querySelectorAll(`[data-explainers="${token}"]`)) {
    if (host.shadowRoot || host.dataset.begun) continue;
    host.dataset.begun = "yes";
    new Widget(host).start().catch((error) => console.warn(`explainers: the picture stays, since ${error.message}`));
  }
}

begin();
setTimeout(begin, 200); // where a notebook runs scripts before it shows what they belong to
