// What the pictures of one image share: the pointer and the zoom.

import { clamp } from "./numbers.js";

const MOST = 24; // times of zoom

export class View {
  // tell: takes what is to be read aloud; within: whether the wheel belongs to the page around.
  constructor(tell, within = false) {
    Object.assign(this, { tell, within, panes: [], zoom: 1, x: 0, y: 0, at: null, truth: true });
  }

  // What is chosen in one pane holds for all.
  point(at, aloud = false) {
    this.at = at && at.map((each) => clamp(each, 0, 1));
    for (const pane of this.panes) pane.point();
    if (aloud && at) {
      const values = this.panes.filter((pane) => pane.map).map((pane) => `${pane.map.title} ${pane.value.textContent}`);
      this.tell(values.join(", "));
    }
  }

  zoomBy(times, at = [0.5, 0.5]) {
    const zoom = times ? clamp(this.zoom * times, 1, MOST) : 1;
    this.x = clamp(at[0] - ((at[0] - this.x) * this.zoom) / zoom, 0, 1 - 1 / zoom);
    this.y = clamp(at[1] - ((at[1] - this.y) * this.zoom) / zoom, 0, 1 - 1 / zoom);
    this.zoom = zoom;
    for (const pane of this.panes) pane.transform();
  }

  pan(across, down) {
    this.x = clamp(this.x + across / this.zoom, 0, 1 - 1 / this.zoom);
    this.y = clamp(this.y + down / this.zoom, 0, 1 - 1 / this.zoom);
    for (const pane of this.panes) pane.transform();
  }

  reset() {
    Object.assign(this, { zoom: 1, x: 0, y: 0, at: null });
  }
}
