"use strict";

/* Line charts in SVG. A chart has a title, a unit and up to three lines, each with a field of the
   points, or a function of them, and a label. Without any, its lines are given with the points. It is
   drawn anew each second, in the width it has. */

const SVG = "http://www.w3.org/2000/svg";
const HEIGHT = 150, LEFT = 42, RIGHT = 6, TOP = 8, BOTTOM = 18;

function element(name, attributes, text) {
  const made = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  if (text !== undefined) made.textContent = text;
  return made;
}

/* Round numbers from low to high, about as many as asked for. */
function ticks(low, high, about) {
  const raw = (high - low) / about, power = 10 ** Math.floor(Math.log10(raw));
  const step = power * [1, 2, 5, 10].find((factor) => power * factor >= raw * 0.999);
  const found = [];
  for (let n = Math.ceil(low / step - 1e-9); n * step <= high + step * 1e-9; n++) {
    found.push(Number((n * step).toPrecision(12)));
  }
  return found;
}

const shown = (value) => (value === null ? "-" : value.toLocaleString("en"));

class Chart {
  constructor({ title, unit, floor, ceiling, lines }) {
    Object.assign(this, { title, unit, floor, ceiling, lines, series: lines, points: [] });
    this.figure = document.createElement("figure");
    const caption = document.createElement("figcaption");
    const name = document.createElement("b");
    name.textContent = unit ? `${title}, ${unit}` : title;
    this.keys = document.createElement("span");
    this.keys.className = "keys";
    caption.append(name, this.keys);
    this.svg = element("svg", { role: "img" });
    this.figure.append(caption, this.svg);
    new ResizeObserver(() => this.draw()).observe(this.figure);
  }

  /* The value of a point in one series; a point without one is a gap. */
  value(field, point) {
    return typeof field === "function" ? field(point) : point[field];
  }

  show(points, others) {
    this.points = points;
    if (!this.lines.length) this.series = others;
    const last = points.at(-1);
    const texts = this.series.map(([field, label]) => `${label} ${shown(last ? this.value(field, last) : null)}`);
    this.keys.replaceChildren(...texts.map((text, number) => {
      const key = document.createElement("span");
      key.className = `key series-${number + 1}`;
      key.textContent = text;
      return key;
    }));
    this.svg.setAttribute("aria-label", `${this.title}, now: ${texts.join(", ") || "nothing"} ${this.unit}`);
    this.draw();
  }

  draw() {
    const width = this.svg.clientWidth || 320, points = this.points;
    this.svg.setAttribute("viewBox", `0 0 ${width} ${HEIGHT}`);
    this.svg.replaceChildren();
    const all = this.series.flatMap(([field]) => points.map((point) => this.value(field, point)));
    const known = all.filter((value) => value !== null);
    if (!known.length) {
      this.svg.append(element("text", { x: LEFT, y: HEIGHT / 2 }, "nothing yet"));
      return;
    }
    const begin = points[0].at, end = Math.max(points.at(-1).at, begin + 10);
    const low = Math.min(this.floor, ...known);
    const high = Math.max(this.ceiling ?? low + 1e-9, ...known) || low + 1;
    const top = high > low + 1e-6 ? high * (this.ceiling === null ? 1.05 : 1) : low + 1;
    const x = (at) => LEFT + ((at - begin) / (end - begin)) * (width - LEFT - RIGHT);
    const y = (value) => HEIGHT - BOTTOM - ((value - low) / (top - low)) * (HEIGHT - TOP - BOTTOM);
    for (const value of ticks(low, top, 4)) {
      this.svg.append(element("path", { class: "grid", d: `M${LEFT} ${y(value)}H${width - RIGHT}` }));
      this.svg.append(element("text", { x: LEFT - 5, y: y(value) + 4, "text-anchor": "end" }, value.toLocaleString("en")));
    }
    for (const value of ticks(begin, end, Math.max(2, width / 70))) {
      this.svg.append(element("text", { x: x(value), y: HEIGHT - 4, "text-anchor": "middle" }, `${value} s`));
    }
    this.series.forEach(([field], number) => this.line(field, number, x, y));
  }

  line(field, number, x, y) {
    const group = element("g", { class: `series-${number + 1}` });
    let path = "", before = null;
    const values = this.points.map((point) => this.value(field, point));
    this.points.forEach((point, at) => {
      const value = values[at], after = values[at + 1] ?? null;
      if (value !== null) {
        path += `${before === null ? "M" : "L"}${x(point.at).toFixed(1)} ${y(value).toFixed(1)}`;
        if (before === null && after === null) {
          group.append(element("circle", { class: "dot", cx: x(point.at), cy: y(value), r: 2 }));
        }
      }
      before = value;
    });
    group.append(element("path", { class: "line", d: path }));
    this.svg.append(group);
  }
}
