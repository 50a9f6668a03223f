// One picture of the viewer: photo, map, outline, the value under the pointer, and the bar of its colours.

import { paint, paintBar, ticks } from "./colour.js";
import { resized, regionOf, thresholdOf, valueAt } from "./field.js";
import { described, laidOver, proportioned } from "./laid.js";
import { element, percent, shortNumber, svg } from "./numbers.js";
import { maskOutline, outline } from "./outline.js";
import { kindOf, maskSlice, sliceOf } from "./slices.js";

const FLAT = 8; // times as wide as high: such a picture may be wider than its column

export class Pane {
  // map: {field, full, limits, signed, title, under, note}, or null for the photo alone; of a volume both are of all its
  // slices, as mask is; view: what the panes share.
  constructor(image, photo, map, mask, view) {
    Object.assign(this, { image, map, mask, view });
    this.stage = element("div", { class: image.line ? "stage line" : "stage" });
    if (photo) {
      this.stage.append(copied(photo, described(image, map ? map.index : -1, view.slice)));
    }
    this.addBoxes(map ? [map] : image.maps);
    this.cross = element("div", { class: "cross", hidden: true });
    this.frame = element("div", { class: "frame", tabindex: "0", role: "group" }, this.stage, this.cross);
    this.frame.setAttribute("aria-label", `${map ? map.title : kindOf()}; arrow keys move the pointer, plus and minus zoom`);
    proportioned(this.frame, image.size);
    this.value = element("span", { class: "value" });
    this.region = element("span", { class: "regiontold" });
    const caption = element("figcaption", {}, element("b", {}, map ? map.title : kindOf()), this.value);
    const around = element("div", { class: "around" }, this.frame); // scrolls what is too flat for its column
    this.node = element("figure", { class: "pane" }, caption, around);
    if (map) this.addMap();
    if (this.boxes) this.stage.append(this.boxes);
    if (map?.region) this.addRegion(map.region);
    if (map) this.node.append(this.bar());
    this.node.append(element("p", { class: "under" }, ...(map ? map.under : []), this.region));
    this.listen();
  }

  addMap() {
    const canvas = element("canvas", { class: "heat", role: "img" });
    canvas.setAttribute("aria-label", described(this.image, this.map.index, this.view.slice));
    this.full = sliceOf(this.map.full, this.image, this.view.slice);
    this.field = sliceOf(this.map.field, this.image, this.view.slice);
    paint(canvas, resized(this.full, ...drawnSize(this.full)), this.map);
    this.lines = svg("svg", {
      class: "lines",
      viewBox: `0 0 ${this.full.width} ${this.full.height}`,
      preserveAspectRatio: "none",
      "aria-hidden": "true",
    });
    const seen = element("div", { class: "seen" });
    for (const node of [seen, canvas, this.lines]) laidOver(node, this.image);
    const clip = element("div", { class: "clip" }, seen);
    this.stage.append(clip, canvas, this.lines);
  }

  // The boxes that the maps are of, where they are of boxes: over the photo, of which they are shares.
  addBoxes(maps) {
    const boxes = new Map(maps.filter((map) => map.boxed).map((map) => [map.boxed.join(), map.boxed]));
    if (!boxes.size) return;
    const lines = svg("svg", { class: "lines", viewBox: "0 0 1 1", preserveAspectRatio: "none", "aria-hidden": "true" });
    Object.assign(lines.style, { inset: 0, width: "100%", height: "100%" });
    for (const [left, top, right, bottom] of boxes.values()) {
      const d = `M${left} ${top}H${right}V${bottom}H${left}Z`;
      lines.append(svg("path", { class: "halo", d }), svg("path", { class: "boxed", d }));
    }
    this.boxes = lines;
  }

  // The region whose class a map explains, over what the network saw.
  addRegion(region) {
    const lines = svg("svg", {
      class: "lines",
      viewBox: `0 0 ${region.width} ${region.height}`,
      preserveAspectRatio: "none",
      "aria-hidden": "true",
    });
    laidOver(lines, this.image);
    const d = maskOutline(region);
    lines.append(svg("path", { class: "halo", d }), svg("path", { class: "boxed", d }));
    this.stage.append(lines);
  }

  bar() {
    const canvas = element("canvas", { "aria-hidden": "true" });
    paintBar(canvas, this.map.signed);
    const numbers = element("div", {}, ...ticks(this.map).map((each) => element("span", {}, shortNumber(each))));
    return element("div", { class: "barline" }, canvas, numbers);
  }

  // The region from the threshold on; share 0 is none.
  outline(share, by) {
    if (!this.map) return;
    this.lines.replaceChildren();
    this.region.textContent = "";
    if (this.mask && this.view.truth) {
      const mask = maskSlice(this.mask, this.image, this.view.slice);
      const scale = `scale(${this.full.width / mask.width} ${this.full.height / mask.height})`;
      this.lines.append(svg("path", { class: "truth", d: maskOutline(mask), transform: scale }));
    }
    if (share <= 0) return;
    const threshold = thresholdOf(this.map.full, share, by, this.map.signed);
    const fits = this.mask && this.mask.height === this.map.full.height && this.mask.width === this.map.full.width;
    const found = regionOf(this.map.full, threshold, fits ? this.mask : null);
    const path = outline(this.full, threshold);
    this.lines.append(svg("path", { class: "halo", d: path }), svg("path", { class: "edge", d: path }));
    const iou = found.iou === null ? "" : `, IoU with the mask ${found.iou.toFixed(3)}`;
    this.region.textContent = `region from ${shortNumber(threshold)}: ${percent(found.share)} of the ${this.image.slices ? "slices" : this.image.line ? "length" : "area"}${iou}`;
  }

  transform() {
    const { zoom, x, y, within } = this.view;
    // A finger moves the page until there is more of the picture than is seen: on a phone it is as wide as the page.
    const [width, height] = this.image.size;
    if (!within) this.frame.style.touchAction = zoom > 1 ? "none" : width > FLAT * height ? "pan-x pan-y" : "pan-y";
    this.stage.style.transform = `translate(${-100 * x * zoom}%, ${-100 * y * zoom}%) scale(${zoom})`;
    this.point();
  }

  // Marks the shared place and says the value there.
  point() {
    const { at, zoom, x, y } = this.view;
    this.cross.hidden = !at;
    this.value.textContent = "";
    if (!at) return;
    Object.assign(this.cross.style, { left: `${100 * (at[0] - x) * zoom}%`, top: `${100 * (at[1] - y) * zoom}%` });
    const told = this.image.line ? ` at ${placeOf(this.image.line, at[0])}` : "";
    if (!this.map) {
      this.value.textContent = told;
      return;
    }
    const [top, left, bottom, right] = this.image.box;
    const [u, v] = [(at[0] - left) / (right - left), (at[1] - top) / (bottom - top)];
    this.current = u < 0 || v < 0 || u > 1 || v > 1 ? null : valueAt(this.field, u, v);
    this.value.textContent = this.current === null ? "not seen" : shortNumber(this.current) + told;
  }

  place(event) {
    const box = this.frame.getBoundingClientRect();
    const { zoom, x, y } = this.view;
    return [(event.clientX - box.left) / box.width / zoom + x, (event.clientY - box.top) / box.height / zoom + y];
  }

  listen() {
    const { frame, view } = this;
    const fingers = new Map();
    let reach = 0;
    frame.addEventListener("pointerdown", (event) => {
      fingers.set(event.pointerId, [event.clientX, event.clientY]);
      frame.setPointerCapture(event.pointerId);
      reach = spread(fingers);
      view.point(this.place(event));
    });
    frame.addEventListener("pointermove", (event) => {
      const before = fingers.get(event.pointerId);
      if (before && fingers.size === 1 && view.zoom > 1) {
        const box = frame.getBoundingClientRect();
        view.pan((before[0] - event.clientX) / box.width, (before[1] - event.clientY) / box.height);
      }
      if (before) fingers.set(event.pointerId, [event.clientX, event.clientY]);
      if (fingers.size === 2) {
        const now = spread(fingers);
        if (reach > 0 && now > 0) view.zoomBy(now / reach, this.place(event));
        reach = now;
      }
      view.point(this.place(event));
    });
    for (const name of ["pointerup", "pointercancel"]) {
      frame.addEventListener(name, (event) => fingers.delete(event.pointerId));
    }
    frame.addEventListener("pointerleave", () => {
      if (!frame.matches(":focus-visible")) view.point(null);
    });
    frame.addEventListener(
      "wheel",
      (event) => {
        const meant = event.ctrlKey || event.metaKey;
        if (!meant && (view.within || (view.zoom === 1 && event.deltaY > 0))) return; // the page scrolls on
        event.preventDefault();
        view.zoomBy(Math.exp(-event.deltaY / 400), this.place(event));
      },
      { passive: false },
    );
    frame.addEventListener("dblclick", (event) => view.zoomBy(view.zoom > 1 ? 0 : 3, this.place(event)));
    frame.addEventListener("keydown", (event) => this.onKey(event));
    frame.addEventListener("blur", () => view.point(null));
  }

  onKey(event) {
    const step = (event.shiftKey ? 0.1 : 0.02) / this.view.zoom;
    const moves = { ArrowLeft: [-step, 0], ArrowRight: [step, 0], ArrowUp: [0, -step], ArrowDown: [0, step] };
    const at = this.view.at ?? [0.5, 0.5];
    if (event.key in moves) {
      const [across, down] = moves[event.key];
      this.view.point([Math.min(1, Math.max(0, at[0] + across)), Math.min(1, Math.max(0, at[1] + down))], true);
    } else if (event.key === "+" || event.key === "=") this.view.zoomBy(1.5, at);
    else if (event.key === "-") this.view.zoomBy(1 / 1.5, at);
    else if (event.key === "0") this.view.zoomBy(0, at);
    else return;
    event.preventDefault();
    event.stopPropagation();
  }
}

// A photo once more, an <img> or a canvas, with what it shows in words.
function copied(photo, text) {
  const copy = photo.cloneNode();
  if (photo.tagName === "CANVAS") {
    copy.getContext("2d").drawImage(photo, 0, 0);
    copy.setAttribute("role", "img");
    copy.setAttribute("aria-label", text);
  } else copy.alt = text;
  copy.classList.add("photo");
  return copy;
}

// A place along a signal, in seconds where its rate is known.
function placeOf({ length, rate }, share) {
  const sample = Math.min(length - 1, Math.floor(share * length));
  return rate ? `${shortNumber(sample / rate)} s` : `sample ${sample}`;
}

function spread(fingers) {
  if (fingers.size !== 2) return 0;
  const [one, other] = [...fingers.values()];
  return Math.hypot(one[0] - other[0], one[1] - other[1]);
}

// A map is drawn with some pixels, so that it is as smooth as the project's overlays.
function drawnSize(map) {
  const factor = Math.max(1, 336 / Math.max(map.height, map.width));
  return [Math.round(map.height * factor), Math.round(map.width * factor)];
}
