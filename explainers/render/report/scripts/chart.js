// Lines over an axis, as SVG, with a marker that can be moved.

import { element, shortNumber, svg } from "./numbers.js";

const COLOURS = ["#0072b2", "#e69f00", "#009e73", "#d55e00", "#cc79a7", "#56b4e9"]; // as those of figures
const DASHES = ["", "7 4", "2 3", "8 3 2 3"];
const [WIDTH, HEIGHT] = [560, 300];
const EDGE = { left: 46, right: 12, top: 10, bottom: 36 };

export function look(index, gray) {
  if (gray) return { stroke: "#8d8d86", dash: DASHES[(index % 3) + 1] };
  return { stroke: COLOURS[index % COLOURS.length], dash: DASHES[Math.floor(index / COLOURS.length) % DASHES.length] };
}

function stops(low, high, whole) {
  const step = 10 ** Math.floor(Math.log10((high - low) / 3));
  const plain = [1, 2, 5, 10].map((times) => times * step).find((each) => (high - low) / each <= 5);
  const wide = whole ? Math.max(1, Math.round(plain)) : plain;
  const found = [];
  for (let at = Math.ceil(low / wide) * wide; at <= high + wide * 1e-6; at += wide) found.push(Number(at.toPrecision(6)));
  return found;
}

// lines: [{label, x, y, gray, colour}], colour: the number of one, where it is not the line's own. heights: what they show. onMove: called with the place under the pointer, in the axis' numbers.
// Returns {node, mark(x)}.
export function chart({ lines, axis, title, heights, label, onMove }) {
  const xs = lines.flatMap((line) => line.x);
  const ys = lines.flatMap((line) => line.y);
  const x = { low: Math.min(...xs), high: Math.max(...xs) };
  const y = { low: Math.min(...ys), high: Math.max(...ys) };
  if (y.low >= 0 && y.low < 0.6 * y.high) y.low = 0;
  if (y.high === y.low) [y.low, y.high] = [y.low - 0.1 * Math.max(1, Math.abs(y.low)), y.high + 0.1 * Math.max(1, Math.abs(y.high))];
  if (x.high === x.low) x.high = x.low + 1;
  const [left, right] = [EDGE.left, WIDTH - EDGE.right];
  const [top, bottom] = [EDGE.top, HEIGHT - EDGE.bottom];
  const across = (value) => left + ((value - x.low) / (x.high - x.low)) * (right - left);
  const up = (value) => bottom - ((value - y.low) / (y.high - y.low)) * (bottom - top);
  const picture = svg("svg", { class: "chart", viewBox: `0 0 ${WIDTH} ${HEIGHT}`, role: "img", "aria-label": label });
  for (const value of stops(y.low, y.high)) {
    picture.append(svg("line", { class: "grid", x1: left, x2: right, y1: up(value), y2: up(value) }));
    picture.append(svg("text", { x: left - 7, y: up(value) + 4, "text-anchor": "end" }, shortNumber(value)));
  }
  for (const value of stops(x.low, x.high, axis === "epoch")) {
    picture.append(svg("text", { x: across(value), y: bottom + 17, "text-anchor": "middle" }, shortNumber(value)));
  }
  picture.append(svg("text", { x: (left + right) / 2, y: HEIGHT - 3, "text-anchor": "middle" }, axis));
  const legend = element("div", { class: "legend" });
  let [colour, gray] = [0, 0];
  for (const line of lines) {
    const own = look(line.colour ?? (line.gray ? gray++ : colour++), line.gray);
    const path = line.x.map((each, at) => `${at ? "L" : "M"}${across(each).toFixed(1)} ${up(line.y[at]).toFixed(1)}`);
    picture.append(svg("path", { d: path.join(""), stroke: own.stroke, "stroke-dasharray": own.dash }));
    const sample = svg("svg", { viewBox: "0 0 22 8", "aria-hidden": "true" });
    sample.append(svg("path", { d: "M0 4H22", stroke: own.stroke, "stroke-dasharray": own.dash, "stroke-width": 2 }));
    legend.append(element("span", {}, sample, line.label));
  }
  const marker = svg("line", { class: "at", y1: top, y2: bottom, visibility: "hidden" });
  picture.append(marker);
  if (onMove) {
    picture.addEventListener("pointermove", (event) => {
      const box = picture.getBoundingClientRect();
      const at = ((event.clientX - box.left) / box.width) * WIDTH;
      onMove(x.low + ((Math.min(right, Math.max(left, at)) - left) / (right - left)) * (x.high - x.low));
    });
  }
  const heading = title ? element("h3", {}, title) : null;
  return {
    node: element("div", {}, heading, heights ? element("p", { class: "heights" }, heights) : null, picture, legend),
    mark(at) {
      marker.setAttribute("x1", across(at));
      marker.setAttribute("x2", across(at));
      marker.setAttribute("visibility", "visible");
    },
  };
}

// The height of a line at a place.
export function heightAt(line, at) {
  let place = 1;
  while (place < line.x.length - 1 && line.x[place] < at) place += 1;
  const [before, after] = [line.x[place - 1], line.x[place]];
  if (line.x.length < 2 || after === before) return line.y[0];
  const share = Math.min(1, Math.max(0, (at - before) / (after - before)));
  return line.y[place - 1] + share * (line.y[place] - line.y[place - 1]);
}
