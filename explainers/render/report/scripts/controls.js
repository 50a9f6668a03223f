// A slider with its value.

import { element } from "./numbers.js";

export function slider(label, value, change) {
  const told = element("span", { class: "told" });
  const input = element("input", { type: "range", min: 0, max: 100, step: 1, value });
  input.addEventListener("input", () => change(input.value, told));
  told.textContent = label === "Region" && !Number(value) ? "off" : `${value} %`;
  return element("label", { class: "slide" }, label, input, told);
}
