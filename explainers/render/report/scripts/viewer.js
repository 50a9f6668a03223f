// One image at large: its methods side by side, its region, its curves, and how to make its maps again.

import { chart, heightAt } from "./chart.js";
import { heavy, maskOf, photoOf, rawMap } from "./data.js";
import { slider } from "./controls.js";
import { resized, steps } from "./field.js";
import { joined, MEAN, SPREAD } from "./joined.js";
import { proportioned, seenSize } from "./laid.js";
import { clamp, element, percent, shortNumber } from "./numbers.js";
import { Pane } from "./pane.js";
import { MADE, perturbed, replaced } from "./perturbed.js";
import { recipes } from "./recipe.js";
import { report } from "./report.js";
import { SliceControl, countOf, kindOf, maskSlice, peakOf, pictureFromTheSide, placesOf, toldSlice, turned, valuesTold } from "./slices.js";
import { ALL, choose, mapOf, setOpacity, state } from "./state.js";
import { unpackedMask } from "./unpack.js";
import { View } from "./view.js";

// What is watched of a map's target: a probability in percent, anything else under its name.
const watchedOf = (map) => (map.quantity === "probability" ? percent(map.watched) : `${map.quantity} ${shortNumber(map.watched)}`);

const FIRST = 6; // methods that are shown without being asked for

export class Viewer extends View {
  constructor(node, neighbours) {
    super((text) => {
      document.getElementById("told").textContent = text;
    });
    Object.assign(this, { node, neighbours });
    node.addEventListener("close", () => {
      choose({ image: "" });
      this.onClose?.(this.image);
    });
    node.addEventListener("keydown", (event) => this.onKey(event));
  }

  async open(image) {
    this.image = image;
    this.seen = image; // a volume along the axis that is chosen
    this.all = null;
    this.slices = null;
    this.drawCurves = null;
    this.reset();
    if (!this.node.open) this.node.showModal();
    if (state.image !== image.name) choose({ image: image.name });
    const bar = this.bar();
    this.node.replaceChildren(bar, element("div", { class: "inner" }, element("p", { class: "lead" }, "…")));
    this.node.scrollTop = 0;
    this.node.querySelector("h2").focus({ preventScroll: true });
    try {
      await this.load(image);
    } catch (error) {
      this.maps = [];
      this.trouble = error.message;
    }
    if (this.image === image) this.draw();
  }

  // Everything of an image, as far as there is something.
  async load(image) {
    this.trouble = image.problem || image.lacking;
    this.slice = peakOf(image, mapOf(image));
    this.photo = await pictureOf(image, this.slice);
    this.mask = image.box ? await maskOf(image) : null;
    const { curves, regions } = await heavy(image);
    this.curves = curves ?? [];
    this.maps = [];
    for (const [index, map] of image.maps.entries()) {
      if (map.method >= report.methods.length) continue;
      const field = await rawMap(image, index);
      const own = image.maps.filter((other) => other.method === map.method);
      const alike = own.filter((other) => other.target === map.target); // two boxes of one class
      const numbered = alike.length > 1 ? ` ${alike.indexOf(map) + 1}` : "";
      const title = report.titles[map.method] + (own.length > 1 ? ` · ${map.target}${numbered}` : "");
      const full = image.slices ? field : field && resized(field, ...image.input);
      const region = regions?.[index] ? await unpackedMask(regions[index]) : null;
      this.maps.push({ ...map, index, field, full, region, title, under: this.under(map) });
    }
  }

  // Shows another slice in all panes, and says which.
  async turnTo(slice) {
    const { seen } = this;
    this.slice = clamp(slice, 0, countOf(seen) - 1);
    const wanted = this.slice;
    this.slices.show(wanted);
    const photo = seen.slices.stored ? await this.fromTheSide(seen, wanted) : await pictureOf(seen, wanted);
    if (this.seen !== seen || this.slice !== wanted) return;
    const focused = this.panes.findIndex((pane) => pane.frame === document.activeElement);
    this.photo = photo;
    this.drawPanes();
    this.drawCurves?.();
    this.panes[focused]?.frame.focus({ preventScroll: true });
    document.getElementById("told").textContent = toldSlice(seen, wanted);
  }

  // Looks along another axis of a volume, where the map is strongest.
  async look(axis) {
    const focused = this.controls.contains(document.activeElement);
    this.seen = turned(this.image, axis);
    this.slice = peakOf(this.seen, mapOf(this.image));
    this.zoomBy(0);
    this.drawControls();
    if (focused) this.controls.querySelectorAll(".axes button")[axis].focus();
    await this.turnTo(this.slice);
  }

  // The picture of a slice along another axis than that of the slices that are kept; null where there are no pictures.
  async fromTheSide(seen, at) {
    const { image } = this;
    this.all ??= Promise.all(image.slices.at.map((_, each) => pictureOf(image, each)));
    const pictures = await this.all;
    return pictures.every((each) => each?.naturalWidth) ? pictureFromTheSide(pictures, seen.slices, at) : null;
  }

  under(map) {
    const parts = [];
    if (map.target) parts.push(`of ${/^\d+$/.test(map.target) ? "class " : ""}${map.target}${map.watched === null ? "" : ` (${watchedOf(map)})`}`);
    if (map.layer) parts.push(`layer ${map.layer}`);
    const nodes = [parts.join(", "), parts.length ? "; " : ""];
    if (map.status !== "ok" || map.reason) {
      const text = [map.status === "ok" ? "" : map.status, map.reason].filter(Boolean).join(": ");
      nodes.push(element("span", { class: "status" }, ` ${text} `));
    }
    if (map.grid) {
      const precise = (map.range[1] - map.range[0]) / (2 ** map.bits - 1) / 2;
      nodes.push(`${valuesTold(map, this.image)}, each `, element("span", { class: "whole" }, `± ${shortNumber(precise)}`), " ");
    }
    return nodes;
  }

  bar() {
    const { image } = this;
    const [before, after, place, count] = this.neighbours(image);
    const said = element("p", {});
    if (image.predicted) {
      said.append("read as ", element("b", {}, image.predicted));
      if (image.probability !== null) said.append(` (${percent(image.probability)})`);
    }
    if (image.right === false) said.append(element("span", { class: "wrong" }, ` ✕ it is ${image.true}`));
    if (image.right === true) said.append(element("span", { class: "right" }, " ✓ right"));
    const more = (mark, text) => said.append(said.hasChildNodes() ? `${mark} ${text}` : text); // a value is read as no class
    if (image.disagreement !== null) more(",", `disagreement of methods ${image.disagreement.toFixed(2)}`);
    if (image.notes && image.notes !== image.problem) more(";", image.notes);
    const step = (label, to, text) =>
      element("button", { type: "button", disabled: !to, onclick: () => to && this.open(to), "aria-label": label }, text);
    const close = element("button", { type: "button", class: "close", onclick: () => this.node.close() }, "Close");
    const name = element("h2", { id: "viewer-name", tabindex: "-1", title: image.name }, image.name);
    return element(
      "div",
      { class: "bar" },
      element("div", { class: "who" }, name, said),
      element(
        "div",
        { class: "steps" },
        step("Image before this", before, "←"),
        element("span", { class: "place" }, place < 0 ? "" : `${place + 1} of ${count}`),
        step("Image after this", after, "→"),
        close,
      ),
    );
  }

  titles() {
    const drawn = this.maps.filter((map) => map.full).map((map) => map.title);
    return [report.kind, ...drawn, ...(drawn.length > 1 ? [MEAN, SPREAD] : [])];
  }

  wanted() {
    const titles = this.titles();
    const own = titles.filter((title) => ![MEAN, SPREAD].includes(title));
    const chosen = state.panes ? titles.filter((title) => state.panes.includes(title)) : own.slice(0, FIRST + 1);
    const method = state.method !== ALL && this.maps.find((map) => map.full && report.titles[map.method] === state.method);
    return !state.panes && method && !chosen.includes(method.title) ? [...chosen, method.title] : chosen;
  }

  draw() {
    const inner = element("div", { class: "inner" });
    if (this.trouble) inner.append(element("p", { class: "banner" }, this.trouble));
    this.controls = element("div", { class: "controls" });
    this.board = element("div", { class: "panes" });
    if (!this.image.problem) inner.append(this.controls, this.board);
    for (const part of [this.curvePart(), this.measured(), recipes(this.image)]) if (part) inner.append(part);
    inner.append(this.keys());
    this.node.querySelector(".inner").replaceWith(inner);
    this.drawControls();
    this.drawPanes();
  }

  drawControls() {
    this.slices = this.image.slices ? new SliceControl(this.seen, this.slice, (at) => this.turnTo(at), () => peakOf(this.seen, mapOf(this.image)), (axis) => this.look(axis)) : null;
    const chips = element("fieldset", {}, element("legend", {}, "Shown side by side"));
    for (const title of this.titles()) {
      const input = element("input", { type: "checkbox", checked: this.wanted().includes(title) });
      input.addEventListener("change", () => {
        const now = this.wanted();
        state.panes = input.checked ? this.titles().filter((each) => each === title || now.includes(each)) : now.filter((each) => each !== title);
        this.drawPanes();
      });
      chips.append(element("label", { class: "chip" }, input, element("span", {}, title)));
    }
    const heat = slider("Opacity", state.opacity, (value, told) => {
      setOpacity(value);
      document.getElementById("opacity").value = value;
      told.textContent = `${value} %`;
    });
    const by = element("select", { "aria-label": "Threshold by" });
    by.append(element("option", { value: "value" }, "by value"), element("option", { value: "area" }, "by area"));
    by.value = state.by;
    const region = slider("Region", state.threshold, (value, told) => {
      state.threshold = Number(value);
      told.textContent = state.threshold ? `${value} %` : "off";
      for (const pane of this.panes) pane.outline(state.threshold / 100, state.by);
    });
    by.addEventListener("change", () => {
      state.by = by.value;
      for (const pane of this.panes) pane.outline(state.threshold / 100, state.by);
    });
    const size = element("button", { type: "button", onclick: () => this.zoomBy(0) }, "Whole picture");
    const drawn = this.maps.some((map) => map.full) ? [heat, element("span", { class: "pair" }, region, by)] : [];
    const parts = [...(this.slices ? this.slices.nodes : []), chips, ...drawn, size];
    if (this.mask) {
      const truth = element("input", { type: "checkbox", checked: this.truth });
      truth.addEventListener("change", () => {
        this.truth = truth.checked;
        for (const pane of this.panes) pane.outline(state.threshold / 100, state.by);
      });
      parts.push(element("label", { class: "chip" }, truth, element("span", {}, "mask")));
    }
    this.controls.replaceChildren(...parts);
  }

  drawPanes() {
    const shown = this.wanted();
    const all = Object.fromEntries(this.maps.filter((map) => map.full).map((map) => [map.title, map]));
    if (shown.includes(MEAN) || shown.includes(SPREAD)) Object.assign(all, joined(this.maps));
    this.panes = shown
      .filter((title) => title === report.kind || all[title])
      .map((title) => new Pane(this.seen, this.photo, all[title] ?? null, this.mask, this));
    const least = this.image.line ? 40 : ({ 1: 26, 2: 22, 3: 18 }[this.panes.length] ?? 14);
    this.board.style.setProperty("--pane", `${least}rem`);
    this.board.style.maxWidth = this.image.line ? "64rem" : `${34 * this.panes.length}rem`;
    this.board.replaceChildren(...this.panes.map((pane) => pane.node));
    for (const pane of this.panes) {
      pane.outline(state.threshold / 100, state.by);
      pane.transform();
    }
  }

  measured() {
    const scores = report.scores.filter((_, place) => this.image.maps.some((map) => map.values[place] !== null));
    if (!scores.length) return null;
    const heading = element("tr", {}, element("th", { scope: "col" }, "method"));
    const arrows = { higher: " ↑", lower: " ↓" };
    for (const score of scores) heading.append(element("th", { scope: "col" }, score.name + (arrows[score.better] ?? "")));
    const body = element("tbody", {});
    for (const map of this.image.maps) {
      const line = element("tr", { class: map.method >= report.methods.length ? "control" : "" });
      line.append(element("th", { scope: "row" }, report.titles[map.method]));
      for (const score of scores) line.append(element("td", {}, shortNumber(map.values[report.scores.indexOf(score)])));
      body.append(line);
    }
    const table = element("table", {}, element("thead", {}, heading), body);
    const told = `Scores of this ${kindOf() === "photo" ? "image" : kindOf()}`;
    const scroll = element("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": told }, table);
    return element("section", { class: "measured" }, element("h3", {}, told), scroll);
  }

  curvePart() {
    const names = report.scores.map((score) => score.name).filter((name) => this.curves.some((each) => each[name]));
    if (!names.length) return null;
    const part = element("section", { class: "curves" }, element("h3", {}, `When ${placesOf()} come in, or go`));
    const score = element("select", { "aria-label": "Curve of the score" }, ...names.map((name) => element("option", {}, name)));
    const grid = element("div", { class: "curvegrid" });
    const bar = element("div", { class: "curvebar" }, score);
    part.append(bar, grid);
    const draw = () => grid.replaceChildren(...this.curveGrid(score.value, bar));
    score.addEventListener("change", draw);
    draw();
    return part;
  }

  // The chart of a score's curves, and the image at the marker.
  curveGrid(name, bar) {
    const { image } = this;
    const facts = report.scores.find((score) => score.name === name).curve ?? {};
    const lines = image.maps
      .map((map, index) => ({ label: report.titles[map.method], index, gray: map.method >= report.methods.length, curve: this.curves[index]?.[name] }))
      .filter((line) => line.curve)
      .map((line) => ({ ...line, x: line.curve[0], y: line.curve[1] }));
    const share = element("input", { type: "range", min: 0, max: 1000, value: 200, "aria-label": `Share of the ${placesOf()}` });
    const which = element("select", { "aria-label": "Image by the map of" });
    const drawable = lines.filter((line) => this.maps.some((map) => map.index === line.index && map.full));
    which.append(...drawable.map((line) => element("option", { value: line.index }, line.label)));
    const canvas = element("canvas", { role: "img" });
    const saying = element("p", { class: "saying", "aria-live": "polite" });
    const order = new Map();
    const draw = () => {
      const at = share.value / 1000;
      picture.mark(at);
      const line = lines.find((each) => each.index === Number(which.value)) ?? lines[0];
      const told = `${line.label}: ${(facts.heights ?? "f(x)").replace("f(x): ", "")} is ${shortNumber(heightAt(line, at))} at ${percent(at)}`;
      const map = this.maps.find((each) => each.index === line.index);
      const lacking = facts.way ? this.lacking(facts, map) : "";
      const possible = facts.way && !lacking;
      canvas.hidden = !possible;
      saying.textContent = `${told}. ${lacking}`;
      if (!possible) return;
      if (!order.has(line.index)) order.set(line.index, steps(map.full, facts.patch));
      const [height, width] = image.input;
      const given = { image, photo: this.photo, steps: order.get(line.index), curve: facts, share: at, height, width };
      if (image.slices) {
        const gone = replaced(canvas, { ...given, slice: this.placesOfSlice(order.get(line.index), map) });
        saying.textContent += this.sayingOfSlice(map, gone);
      } else {
        perturbed(canvas, given);
        saying.textContent += this.saying(facts);
      }
      proportioned(canvas, image.slices ? this.seen.size : seenSize(image));
      canvas.setAttribute("aria-label", told);
    };
    this.drawCurves = draw;
    const picture = chart({
      lines,
      axis: facts.across ?? "share, or threshold",
      heights: facts.heights,
      label: `Curves of ${name}: ${lines.map((line) => line.label).join(", ")}`,
      onMove: (at) => {
        share.value = Math.round(1000 * at);
        draw();
      },
    });
    share.addEventListener("input", draw);
    which.addEventListener("change", draw);
    while (bar.children.length > 1) bar.lastChild.remove();
    if (drawable.length) bar.append(element("label", {}, this.image.slices ? "slice by " : "image by ", which));
    draw();
    return [element("div", {}, picture.node, share), element("div", {}, canvas, saying)];
  }

  // Why there is no picture of a point of a curve, "" where there is one.
  lacking(facts, map) {
    if (this.image.line) return "Signals have no picture along a curve.";
    if (!this.photo) return "Without its picture there is none along the curve.";
    if (!map?.full) return "The map of this line is not kept, so there is no picture of it.";
    if (this.image.slices) return facts.patch > 1 ? "There is no picture of volumes that are changed by blocks." : "";
    return MADE.has(facts.baseline) ? "" : `A picture with the baseline ${facts.baseline} cannot be drawn here.`;
  }

  // Of the slice that is shown, which voxel goes when.
  placesOfSlice({ places }, { full: { height, width } }) {
    return maskSlice({ inside: places, height, width }, this.seen, this.slice);
  }

  sayingOfSlice(map, gone) {
    const { of, at } = this.image.slices;
    const fewer = map.of || at.length < of ? ", in the order of the values that this page keeps" : "";
    return `Blue: replaced so far in the slice shown, ${percent(gone)} of it${fewer}; equal values may go in another order.`;
  }

  saying(facts) {
    const filling = { blur: "a blurred copy", zero: "the data’s mean colour", black: "black", mean: "the image’s mean colour", noise: "noise (another draw than the one measured)" };
    const how = facts.way === "in" ? "put into" : "replaced by";
    const which = facts.backwards ? "least" : "most";
    return `The ${which} important pixels ${how} ${filling[facts.baseline]}; drawn here from photo and map, close to what the network saw.`;
  }

  keys() {
    const line = element("p", { class: "keys" });
    for (const [key, text] of [["←", ""], ["→", "image before and after "], ["Esc", "close "], ["+", ""], ["−", ""], ["0", "zoom, on a picture "], ["arrows", "move the pointer on a picture "], ...(this.image.slices ? [["Page Up", ""], ["Page Down", "slice after and before "], ["1", ""], ["2", ""], ["3", "axis of the slices"]] : [])]) {
      line.append(element("kbd", {}, key), ` ${text}`);
    }
    return line;
  }

  onKey(event) {
    if (event.target.matches("input, select, textarea") || event.altKey || event.ctrlKey || event.metaKey) return;
    const turn = this.slices && { PageUp: 1, PageDown: -1 }[event.key];
    if (turn) {
      event.preventDefault();
      this.turnTo(this.slice + turn);
      return;
    }
    if (this.slices && ["1", "2", "3"].includes(event.key)) {
      event.preventDefault();
      this.look(Number(event.key) - 1);
      return;
    }
    const [before, after] = this.neighbours(this.image);
    const to = { ArrowLeft: before, ArrowRight: after }[event.key];
    if (!to) return;
    event.preventDefault();
    this.open(to);
  }
}

// The photo, or one slice, as an <img> that is loaded; null where there is none to show.
async function pictureOf(image, at) {
  const source = image.problem || image.lacking ? null : await photoOf(image, at);
  const photo = source ? element("img", { src: source, alt: "" }) : null;
  if (photo) await photo.decode().catch(() => {});
  return photo;
}
