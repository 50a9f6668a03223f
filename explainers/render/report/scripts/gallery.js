// Any number of images in a list of which only what is near the window exists.

import { card, row } from "./card.js";
import { element } from "./numbers.js";
import { report } from "./report.js";
import { ALL, state } from "./state.js";

const GAP = 14;
const NEAR = 1.5; // windows above and below that are made ahead

// Of a line with the photo and all methods: the side of its pictures, and its height with as many rows as they take.
function lineSize(width, phone, sorted) {
  const [count, gap] = [report.methods.length + 1, 8];
  const room = width - 24 - (phone ? 0 : 190);
  const rows = Math.ceil((count * ((phone ? 96 : 120) + gap)) / (room + gap));
  const side = Math.min(150, Math.floor((room + gap) / Math.ceil(count / rows)) - gap);
  return [side, rows * (side + 22 + gap) + 14 + (phone ? 17 + 19 * (3 + sorted) : 0)];
}

export class Gallery {
  constructor(node, open) {
    this.node = node;
    this.open = open;
    this.images = [];
    this.made = new Map(); // place → item
    this.focused = 0;
    this.everything = false; // while it is printed
    const tells = (image) => image.right !== null || image.problem || image.lacking || image.maps.some((map) => !map.grid);
    this.told = report.images.some(tells); // whether cards have a line for what became of the image
    let waiting = false;
    const draw = () => {
      if (waiting) return;
      waiting = true;
      requestAnimationFrame(() => {
        waiting = false;
        this.draw();
      });
    };
    addEventListener("scroll", draw, { passive: true });
    new ResizeObserver(() => this.layout()).observe(node);
    node.addEventListener("keydown", (event) => this.onKey(event));
    node.addEventListener("focusin", (event) => {
      const item = event.target.closest(".item");
      if (item) this.mark(Number(item.dataset.place));
    });
  }

  show(images) {
    this.images = images;
    this.focused = 0;
    this.redraw();
  }

  redraw() {
    this.clear();
    this.node.replaceChildren();
    this.layout();
    if (!this.images.length) this.node.append(element("li", { class: "empty" }, "No image is like that."));
  }

  clear() {
    for (const item of this.made.values()) item.remove();
    this.made.clear();
  }

  layout() {
    const width = this.node.clientWidth;
    if (!width) return;
    const across = state.method === ALL;
    const sorted = !["order", "name", "probability-", "probability+"].includes(state.sort);
    const phone = width < 560;
    const columns = across ? 1 : Math.max(phone ? 2 : 1, Math.floor((width + GAP) / (200 + GAP)));
    const cell = (width - GAP * (columns - 1)) / columns;
    let side = Math.floor(cell) - 2;
    let height = side + 17 + 19 * (2 + this.told + sorted);
    if (across) [side, height] = lineSize(width, phone, sorted);
    if (columns !== this.columns || side !== this.side || across !== this.across || height !== this.height) this.clear();
    Object.assign(this, { columns, cell, side, height, across });
    const rows = Math.ceil(this.images.length / columns);
    this.node.style.height = this.images.length ? `${rows * (height + GAP)}px` : "auto";
    this.draw();
  }

  draw() {
    if (!this.columns || !this.images.length || this.node.closest("[hidden]")) return;
    const top = -this.node.getBoundingClientRect().top;
    const step = this.height + GAP;
    const first = Math.max(0, Math.floor((top - NEAR * innerHeight) / step)) * this.columns;
    const last = Math.ceil((top + (1 + NEAR) * innerHeight) / step) * this.columns;
    const [begin, end] = this.everything ? [0, Math.min(this.images.length, 500)] : [first, Math.min(last, this.images.length)];
    const active = document.activeElement;
    for (const [place, item] of this.made) {
      if ((place < begin || place >= end) && !item.contains(active)) {
        item.remove();
        this.made.delete(place);
      }
    }
    let after = null;
    for (let place = end - 1; place >= begin; place -= 1) {
      let item = this.made.get(place);
      if (!item) {
        item = this.item(place);
        this.made.set(place, item);
        this.node.insertBefore(item, after);
      }
      after = item;
    }
  }

  item(place) {
    const image = this.images[place];
    const made = (this.across ? row : card)(image, this.side, (each) => this.open(each));
    made.tabIndex = place === this.focused ? 0 : -1;
    const item = element("li", { class: "item" }, made);
    item.dataset.place = place;
    item.setAttribute("aria-setsize", this.images.length);
    item.setAttribute("aria-posinset", place + 1);
    const [down, across] = [Math.floor(place / this.columns), place % this.columns];
    Object.assign(item.style, {
      width: `${this.cell}px`,
      height: `${this.height}px`,
      transform: `translate(${across * (this.cell + GAP)}px, ${down * (this.height + GAP)}px)`,
    });
    return item;
  }

  mark(place) {
    this.made.get(this.focused)?.firstChild.setAttribute("tabindex", "-1");
    this.focused = place;
    this.made.get(place)?.firstChild.setAttribute("tabindex", "0");
  }

  focus(place) {
    const step = this.height + GAP;
    const top = this.node.getBoundingClientRect().top + scrollY + Math.floor(place / this.columns) * step;
    const bar = document.getElementById("toolbar").offsetHeight + 8;
    if (top - bar < scrollY) scrollTo({ top: top - bar });
    else if (top + step > scrollY + innerHeight) scrollTo({ top: top + step - innerHeight + 8 });
    this.draw();
    this.mark(place);
    this.made.get(place)?.firstChild.focus({ preventScroll: true });
  }

  onKey(event) {
    if (event.altKey || event.ctrlKey || event.metaKey) return;
    const page = Math.max(1, Math.floor(innerHeight / (this.height + GAP))) * this.columns;
    const moves = {
      ArrowRight: 1,
      ArrowLeft: -1,
      ArrowDown: this.columns,
      ArrowUp: -this.columns,
      PageDown: page,
      PageUp: -page,
      Home: -Infinity,
      End: Infinity,
    };
    if (!(event.key in moves)) return;
    event.preventDefault();
    this.focus(Math.min(this.images.length - 1, Math.max(0, this.focused + moves[event.key])));
  }
}
