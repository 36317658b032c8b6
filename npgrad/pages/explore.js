"use strict";
// Every text from a file is set with textContent: nothing is ever parsed as markup.
const $ = id => document.getElementById(id);
const data = JSON.parse($("data").textContent);
const { nodes, questions, rules, count: K } = data;
const T = questions.length, R = rules.length, N = nodes.length, S = data.slots.length, ROW = 28;
const EVIDENCE = ["both signs", "positive", "negative"];
const state = { node: N - 1, target: data.chosen, rule: 0, evidence: 0 };
let arrays, photo, figures = [];

function make(tag, text = "", properties = {}) {
  const element = Object.assign(document.createElement(tag), properties);
  if (text !== "") element.textContent = text;
  return element;
}

async function unpack() {
  const bytes = Uint8Array.from(atob($("block").textContent), c => c.charCodeAt(0));
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("deflate"));
  const block = await new Response(stream).arrayBuffer();
  const kinds = { float32: Float32Array, int32: Int32Array, int8: Int8Array };
  const found = {};
  for (const [name, [kind, offset, size]] of Object.entries(data.index)) found[name] = new kinds[kind](block, offset, size);
  return found;
}

// The kinds of maps: how many of each node's, and how large. They are stored node by node.
const KINDS = {
  activation: { leads: 1, count: K, size: node => node.map },
  gradient: { leads: T * S, count: K, size: node => node.map },
  cam: { leads: T, count: 1, size: node => node.map },
  flow: { leads: T * R, count: 1, size: node => node.flow.slice(1) },
};
for (const kind of Object.values(KINDS)) {
  let at = 0;
  kind.offsets = nodes.map(node => {
    const [height, width] = kind.size(node), before = at;
    at += kind.leads * kind.count * height * width;
    return before;
  });
}

// A map as {values, height, width, scale}: the value of a cell is values[cell] * scale.
function mapOf(name, lead, i, k) {
  const kind = KINDS[name], [height, width] = kind.size(nodes[i]), area = height * width;
  const at = kind.offsets[i] + (lead * kind.count + k) * area;
  return { height, width, values: arrays[`${name}.maps`].subarray(at, at + area), scale: arrays[`${name}.scale`][(lead * N + i) * kind.count + k] };
}

const fact = (t, r, i, name) => arrays.backward[((t * R + r) * N + i) * data.backward.length + data.backward.indexOf(name)];
const forward = (i, name) => arrays.forward[i * data.forward.length + data.forward.indexOf(name)];
const number = value => value === 0 ? "0" : Math.abs(value) >= 1e5 || Math.abs(value) < 1e-3
  ? value.toExponential(3) : String(Number(value.toPrecision(4)));
const percent = value => `${Number((100 * value).toPrecision(3))} %`;
const shape = sizes => sizes.join(" × ") || "1";
const isRelevance = () => rules[state.rule].name === "LRP";
const gradientName = () => ["gradient", "guided gradient", "deconvolution", "relevance"][state.rule];

const FOR = [213, 94, 0], AGAINST = [0, 114, 178];
function draw(canvas, map) {
  const context = canvas.getContext("2d");
  context.fillStyle = "#fff";
  context.fillRect(0, 0, canvas.width, canvas.height);
  context.globalAlpha = 0.5;
  context.filter = "grayscale(1)";
  context.drawImage(photo, 0, 0, canvas.width, canvas.height);
  context.filter = "none";
  context.globalAlpha = 1;
  const pixels = new ImageData(map.width, map.height);
  map.values.forEach((value, cell) => {
    const shown = state.evidence === 1 ? Math.max(value, 0) : state.evidence === 2 ? Math.min(value, 0) : value;
    pixels.data.set([...(shown > 0 ? FOR : AGAINST), Math.round(Math.min(1, Math.abs(shown) / 127) ** 0.7 * 235)], 4 * cell);
  });
  const small = make("canvas", "", { width: map.width, height: map.height });
  small.getContext("2d").putImageData(pixels, 0, 0);
  context.imageSmoothingEnabled = false;
  context.drawImage(small, 0, 0, canvas.width, canvas.height);
}

function figure(map, caption, description, side, i = -1, channel = -1) {
  const [height, width] = data.size, scale = side / Math.max(height, width);
  const canvas = make("canvas", "", { width: Math.round(width * scale), height: Math.round(height * scale) });
  canvas.setAttribute("role", "img");
  canvas.setAttribute("aria-label", description);
  draw(canvas, map);
  const one = { canvas, map, channel };
  if (i >= 0) figures.push(one);
  const point = event => {
    const box = canvas.getBoundingClientRect();
    const down = Math.min(0.9999, Math.max(0, (event.clientY - box.top) / box.height));
    const right = Math.min(0.9999, Math.max(0, (event.clientX - box.left) / box.width));
    const row = Math.floor(down * map.height), column = Math.floor(right * map.width);
    $("readout").textContent = `${description}: ${number(map.values[row * map.width + column] * map.scale)} ` +
      `in cell (${row}, ${column}) of ${map.height} × ${map.width}, in steps of ${number(map.scale)}`;
    if (i >= 0) pointAt(one, i, down, right);
  };
  canvas.addEventListener("pointermove", point);
  canvas.addEventListener("pointerdown", point);  // a finger
  canvas.addEventListener("pointerleave", () => figures.forEach(({ canvas, map }) => draw(canvas, map)));
  const element = make("figure");
  element.append(canvas);
  const text = make("figcaption");
  for (const [words, kind] of caption) text.append(make("span", words, { className: kind || "" }));
  element.append(text);
  return element;
}

function channelRow(title, i, list) {
  const there = list.filter(one => one.channel >= 0 && one.strength !== 0 &&
    !(one.signed && state.evidence === 1 && one.strength < 0) && !(one.signed && state.evidence === 2 && one.strength > 0));
  const section = make("div", "", { className: "strongest" });
  section.append(make("h3", title));
  if (!there.length) section.append(make("p", "none: 0 everywhere", { className: "dim" }));
  const row = make("div", "", { className: "row" });
  for (const one of there) {
    const sign = one.signed ? (one.strength > 0 ? "for" : "against") : "";
    if (one.map.height) {
      row.append(figure(one.map, [[`channel ${one.channel} `], [number(one.strength), sign]], `${title}, channel ${one.channel}`, 106, i, one.channel));
    } else {
      row.append(make("span", `channel ${one.channel}: ${number(one.strength)}`, { className: `plain ${sign}` }));
    }
  }
  section.append(row);
  return section;
}

function listed(name, lead, i, signed) {
  const at = (lead * N + i) * K;
  return Array.from({ length: K }, (_, k) => ({ channel: arrays[`${name}.channels`][at + k],
    strength: arrays[`${name}.strength`][at + k], map: mapOf(name, lead, i, k), signed }));
}

function showFacts(i, t, r) {
  const node = nodes[i], list = $("facts");
  list.replaceChildren();
  const add = (term, text) => {
    const pair = make("div");
    pair.append(make("dt", term), make("dd", text));
    list.append(pair);
  };
  add("shape", shape(node.shape));
  add("parameters", node.parameters.toLocaleString("en"));
  add("activation: norm", number(forward(i, "norm")));
  add("activation: mean", number(forward(i, "mean")));
  add("activation: largest", number(forward(i, "largest")));
  add("activation: not zero", percent(forward(i, "nonzero")));
  add("channels that are all zero", number(forward(i, "idle")));
  add(`${gradientName()}: norm`, number(fact(t, r, i, "norm")));
  if (fact(t, r, i, "passed") >= 0) add(`${gradientName()}: norm passed on`, percent(fact(t, r, i, "passed")));
  add(`${gradientName()}: not zero`, percent(fact(t, r, i, "nonzero")));
  if (!isRelevance()) add("sum of activation × gradient", number(fact(t, r, i, "support")));
  if (node.kind === "ReLU") add("stopped by this ReLU", percent(fact(t, r, i, "stopped")));
  if (nodes[i].field) add("sees of the image", seen(nodes[i].field));
  if (users[i].length > 1) add("canceled at this fork", percent(fact(t, r, i, "canceled")));
}

const users = nodes.map(() => []);
nodes.forEach((node, i) => node.sources.forEach(source => users[source].push(i)));

function showLinks(i) {
  const line = $("links");
  line.replaceChildren();
  for (const [word, places] of [["from", nodes[i].sources], ["to", users[i]]]) {
    if (!places.length || i === 0 && word === "from") continue;
    line.append(` ${word} `);
    for (const place of places) {
      const button = make("button", nodes[place].name, { type: "button" });
      button.addEventListener("click", () => go(place));
      line.append(button);
    }
  }
}

function showWide(i, t, r) {
  const wide = $("wide"), node = nodes[i], [kind, height] = node.flow;
  wide.replaceChildren();
  if (i && node.map[0]) {
    wide.append(figure(mapOf("cam", t, i, 0), [["Grad-CAM at this layer: the channels, each weighted by its mean gradient. "],
      ["supports", "for"], [", "], ["opposes", "against"]], "Grad-CAM", 224, i));
  }
  if (height) {
    const text = {
      pixels: [`what arrived at the pixels: the ${gradientName()}, summed over the channels`, "at the pixels"],
      stopped: [`what this ReLU stopped: the ${gradientName()} that did not pass`, "stopped"],
      routed: [`where this max pool routed the ${gradientName()}: to the largest pixel of each window`, "routed"],
    }[kind];
    wide.append(figure(mapOf("flow", t * R + r, i, 0), [[text[0]]], text[1], 224, kind === "routed" ? -1 : i));
  }
}

function showChannels(i, t, r) {
  const row = (title, slot) => channelRow(title, i, listed("gradient", t * S + data.slots.indexOf(slot), i, data.signed.includes(slot)));
  $("channels").replaceChildren(
    channelRow("Strongest channels by activation", i, listed("activation", 0, i, false)),
    row(`Strongest channels by ${gradientName()}`, rules[r].name));
  if (r === 0) $("channels").append(row("Strongest evidence: activation × gradient", "evidence"));
}

function showCode(i) {
  const code = data.code[nodes[i].kind], box = $("code");
  box.hidden = !code;
  if (!code) return;
  box.querySelector("summary").textContent = `how ${nodes[i].kind} computes its gradient`;
  box.querySelector("code").textContent = code.text;
  box.querySelector("p").textContent = `${code.file}, line ${code.line}`;
}

function show() {
  const { node: i, target: t, rule: r } = state, node = nodes[i];
  $("name").textContent = node.name;
  $("kind").textContent = [node.kind, ...node.aliases.map(name => `also the output of ${name}`), `${i} of ${N - 1}`].join(" · ");
  $("summary").textContent = `${node.name}: ${node.kind}, ${shape(node.shape)}. ${gradientName()} of ${questions[t].name}: ` +
    `norm ${number(fact(t, r, i, "norm"))}, ${percent(fact(t, r, i, "nonzero"))} not zero.`;
  $("missing").textContent = rules.filter(rule => rule.why).map(rule => `No ${rule.name}: ${rule.why}.`).join(" ");
  $("back").disabled = i === 0;
  $("on").disabled = i === N - 1;
  figures = [];
  $("window").replaceChildren();
  showLinks(i);
  showFacts(i, t, r);
  showWide(i, t, r);
  showChannels(i, t, r);
  showCode(i);
  for (const option of document.querySelectorAll("[role=option]")) option.setAttribute("aria-selected", String(option.id === `node${i}`));
  document.querySelectorAll("#graph circle").forEach((circle, place) => circle.classList.toggle("here", place === i));
  $("graph").setAttribute("aria-activedescendant", `node${i}`);
  for (const [id, key] of [["rules", "rule"], ["evidence", "evidence"]]) {
    [...$(id).children].forEach((button, place) => button.setAttribute("aria-pressed", String(place === state[key])));
  }
}

function go(place) {
  state.node = Math.max(0, Math.min(N - 1, place));
  show();
  const box = $("graph"), top = state.node * ROW;
  if (top < box.scrollTop + ROW || top > box.scrollTop + box.clientHeight - 2 * ROW) box.scrollTop = top - box.clientHeight / 2;
}

function drawGraph() {
  const box = $("graph"), lanes = 1 + Math.max(...nodes.map(node => node.lane)), step = Math.max(4, Math.min(14, 90 / lanes));
  const SVG = "http://www.w3.org/2000/svg", svg = document.createElementNS(SVG, "svg");
  const add = (tag, attributes) => {
    const element = document.createElementNS(SVG, tag);
    for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
    svg.append(element);
  };
  const x = lane => 12 + lane * step, y = i => (i + 0.5) * ROW;
  svg.setAttribute("width", x(lanes));
  svg.setAttribute("height", N * ROW);
  svg.setAttribute("aria-hidden", "true");
  nodes.forEach((node, i) => {
    if (i) for (const source of node.sources) {
      const from = nodes[source].lane, turn = y(i) - ROW;
      add("path", { d: `M${x(from)} ${y(source)}V${turn}C${x(from)} ${turn + ROW / 2} ${x(node.lane)} ${turn + ROW / 2} ${x(node.lane)} ${y(i)}` });
    }
  });
  nodes.forEach((node, i) => add("circle", { cx: x(node.lane), cy: y(i), r: 4 }));
  nodes.forEach((node, i) => {
    const option = make("div", "", { id: `node${i}` });
    option.setAttribute("role", "option");
    option.style.paddingLeft = `${x(lanes)}px`;
    const bar = make("span", "", { className: "bar" });
    bar.append(make("i"));
    const label = make("span", "", { className: "label", title: node.name }), dot = node.name.lastIndexOf(".") + 1;
    label.append(make("span", node.name.slice(0, dot), { className: "first" }), make("span", node.name.slice(dot)));
    option.append(label, make("span", shape(node.shape), { className: "size" }), bar);
    option.addEventListener("click", () => go(i));
    box.append(option);
  });
  box.append(svg);
}

function drawSwitches() {
  questions.forEach((question, t) => {
    const chance = question.probability === null ? number(question.score) : percent(question.probability);
    const asked = question.index === null ? " (asked)" : "";
    $("target").append(make("option", `${question.name}${asked}, ${chance}`, { value: t, selected: t === state.target }));
  });
  $("target").addEventListener("change", event => { state.target = Number(event.target.value); showFlow(); show(); });
  const group = (id, names, key) => names.forEach((name, place) => {
    const button = make("button", name, { type: "button", disabled: key === "rule" && rules[place].why !== "" });
    button.addEventListener("click", () => { state[key] = place; showFlow(); showPath(); show(); });
    $(id).append(button);
  });
  group("rules", rules.map(rule => rule.name), "rule");
  group("evidence", EVIDENCE, "evidence");
}

function listen() {
  $("back").addEventListener("click", () => go(state.node - 1));
  $("on").addEventListener("click", () => go(state.node + 1));
  const steps = { ArrowDown: 1, ArrowRight: 1, ArrowUp: -1, ArrowLeft: -1, Home: -N, End: N };
  document.addEventListener("keydown", event => {
    if (!(event.key in steps) || event.target.matches("select, input") || event.ctrlKey || event.altKey || event.metaKey) return;
    event.preventDefault();
    go(state.node + steps[event.key]);
  });
}

async function begin() {
  arrays = await unpack();
  photo = new Image();
  photo.src = data.image;
  await photo.decode();
  const best = questions[0];
  $("title").textContent = data.title;
  $("answer").textContent = `${data.network} says: ${best.name}` + (best.probability === null ? `, ${number(best.score)}` : `, ${percent(best.probability)}`);
  $("footer").textContent = `npgrad ${data.version}. Maps are means over cells, in 8 bits; each map has its own scale.`;
  drawGraph();
  drawSwitches();
  listen();
  preparePath();
  showFlow();
  go(N - 1);
  document.body.dataset.ready = "yes";
}
