// Receptive fields, the gradient's flow through the layers, and the path of integrated gradients.

const seen = ([height, width]) => `${Math.min(height, data.size[0])} × ${Math.min(width, data.size[1])} px`;

function frame(canvas, top, left, height, width, [fullHeight, fullWidth]) {
  const context = canvas.getContext("2d"), y = canvas.height / fullHeight, x = canvas.width / fullWidth;
  context.strokeStyle = "#000";
  context.lineWidth = 3;
  context.strokeRect(left * x, top * y, width * x, height * y);
  context.strokeStyle = "#ffd400";
  context.lineWidth = 1.5;
  context.strokeRect(left * x, top * y, width * x, height * y);
}

// On a channel's map: what an output sees of the image. On a large map: which outputs send gradient back to a pixel.
function pointAt({ map, channel }, i, down, right) {
  const field = nodes[i].field, [, height, width] = nodes[i].shape;
  if (!field || !height || !width) return;
  const [kh, kw, sh, sw, top, left] = field;
  figures.forEach(({ canvas, map }) => draw(canvas, map));
  if (channel >= 0) {
    const row = Math.floor((Math.floor(down * map.height) + 0.5) / map.height * height);
    const column = Math.floor((Math.floor(right * map.width) + 0.5) / map.width * width);
    figures.forEach(({ canvas }) => frame(canvas, row * sh - top, column * sw - left, kh, kw, data.size));
    $("readout").textContent += `; output (${row}, ${column}) sees ${kh} × ${kw} px from (${row * sh - top}, ${column * sw - left})`;
    writeOut(i, channel, row, column);
    return;
  }
  const y = Math.floor(down * data.size[0]), x = Math.floor(right * data.size[1]);
  const range = (at, k, s, p, count) => [Math.max(0, Math.ceil((at + p - k + 1) / s)), Math.min(count - 1, Math.floor((at + p) / s))];
  const [r0, r1] = range(y, kh, sh, top, height), [c0, c1] = range(x, kw, sw, left, width);
  figures.forEach(({ canvas, channel }) => {
    if (channel >= 0) frame(canvas, r0, c0, r1 - r0 + 1, c1 - c0 + 1, [height, width]);
    else frame(canvas, y - 2, x - 2, 5, 5, data.size);
  });
  $("readout").textContent = r1 < r0 || c1 < c0 ? `no output sees pixel (${y}, ${x})`
    : `pixel (${y}, ${x}) is seen by the outputs from (${r0}, ${c0}) to (${r1}, ${c1}) of ${height} × ${width}: these send gradient back to it`;
}

// A convolution of the image: window times filter, in numbers where the window is small.
function writeOut(i, filter, row, column) {
  const box = $("window");
  box.replaceChildren();
  if (!data.writtenOut.includes(i)) return;
  const [sh, sw, top, left, dh, dw, , C, KH, KW] = nodes[i].convolution, [H, W] = data.size;
  const weight = arrays[`weight ${i}`], bias = arrays[`bias ${i}`][filter];
  box.append(make("h3", `Window × filter, channel ${filter} at (${row}, ${column})`));
  let total = bias;
  const names = C === 3 ? ["red", "green", "blue"] : Array.from({ length: C }, (_, c) => `channel ${c}`);
  const largest = arrays.x.reduce((most, value) => Math.max(most, Math.abs(value)), 0) * weight.reduce((most, value) => Math.max(most, Math.abs(value)), 0) / 4;
  const channels = make("div", "", { className: "row" });
  for (let c = 0; c < C; c++) {
    let sum = 0;
    const table = make("table"), part = make("div");
    for (let a = 0; a < KH; a++) {
      const line = make("tr");
      for (let b = 0; b < KW; b++) {
        const y = row * sh - top + a * dh, x = column * sw - left + b * dw;
        const pixel = y < 0 || x < 0 || y >= H || x >= W ? 0 : arrays.x[(c * H + y) * W + x];
        const factor = weight[((filter * C + c) * KH + a) * KW + b];
        sum += pixel * factor;
        const text = `${pixel.toFixed(2)} × ${factor.toFixed(2)}`, cell = make("td", KH * KW <= 9 ? text : "", { title: text });
        const share = Math.round(100 * Math.min(1, Math.abs(pixel * factor) / largest) ** 0.5);
        cell.style.background = `color-mix(in srgb, var(${pixel * factor > 0 ? "--for" : "--against"}) ${share}%, var(--card))`;
        line.append(cell);
      }
      table.append(line);
    }
    total += sum;
    part.append(table, make("p", `${names[c]}: ${number(sum)}`));
    channels.append(part);
  }
  box.append(channels);
  box.append(make("p", `sum and bias ${number(bias)}: ${number(total)}`, { id: "total" }));
}

const SVG = "http://www.w3.org/2000/svg";
function drawn(parent, tag, attributes, title = "") {
  const element = document.createElementNS(SVG, tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  if (title) {
    const text = document.createElementNS(SVG, "title");
    text.textContent = title;
    element.append(text);
  }
  parent.append(element);
  return element;
}

function showFlow() {
  const { target: t, rule: r } = state;
  const norms = nodes.map((_, i) => fact(t, r, i, "norm")), there = norms.filter(norm => norm > 0).map(Math.log10);
  const low = Math.min(...there) - 0.1, high = Math.max(...there);
  const height = i => norms[i] > 0 ? (Math.log10(norms[i]) - low) / (high - low || 1) : 0;
  document.querySelectorAll("#graph .bar i").forEach((bar, i) => { bar.style.width = `${100 * height(i)}%`; });
  const chart = $("flowchart");
  chart.replaceChildren();
  const step = 600 / N;
  nodes.forEach((node, i) => {
    const bar = drawn(chart, "rect", { x: i * step, width: Math.max(1, step - 1), y: 120 * (1 - height(i)), height: 120 * height(i) },
      `${node.name}: norm of the ${gradientName()} ${number(norms[i])}`);
    bar.addEventListener("click", () => go(i));
  });
  $("flowtext").textContent = `Norm of the ${gradientName()} of ${questions[t].name} at each layer, from the pixels (left) to the ` +
    `scores (right), logarithmic: from ${number(10 ** (low + 0.1))} to ${number(10 ** high)}.`;
  const lists = $("losses");
  lists.replaceChildren();
  const list = (title, name, value, order, text) => {
    const places = nodes.map((_, i) => i).filter(i => value(i) > 0).sort((a, b) => order * (value(a) - value(b))).slice(0, 3);
    const box = make("div", "", { id: name });
    box.append(make("h3", title));
    if (!places.length) box.append(make("p", "none", { className: "dim" }));
    for (const i of places) {
      const line = make("p"), button = make("button", nodes[i].name, { type: "button" });
      button.addEventListener("click", () => { go(i); $("name").scrollIntoView({ block: "center" }); });
      line.append(button, ` ${text(value(i))}`);
      box.append(line);
    }
    lists.append(box);
  };
  const of = name => i => fact(t, r, i, name);
  list("Lost most of the norm", "lost", i => Math.max(0, fact(t, r, i, "passed") < 1 ? fact(t, r, i, "passed") : 0), 1, v => `passed on ${percent(v)}`);
  list("ReLUs that stopped most", "stopping", of("stopped"), -1, v => `stopped ${percent(v)}`);
  list("Forks that canceled most", "canceling", i => users[i].length > 1 ? of("canceled")(i) : 0, -1, v => `canceled ${percent(v)}`);
  // Where channels die, and not the layers after it that pass the zeros on.
  const dead = i => nodes[i].sources.some(source => forward(source, "idle") > 0) ? 0 : forward(i, "idle");
  list("Channels that are all zero", "idle", dead, -1, v => `${number(v)} of its channels`);
}

function preparePath() {
  const box = $("path");
  box.hidden = !arrays["path.sum"];
  if (box.hidden) return;
  const slider = $("step"), sums = arrays["path.sum"], scores = arrays["path.score"], last = sums.length - 1;
  slider.max = last;
  slider.value = last;
  slider.addEventListener("input", showPath);
  const all = [...sums, ...scores], low = Math.min(...all, 0), high = Math.max(...all, 0);
  const point = (value, k) => `${600 * k / last} ${120 - 116 * (value - low) / (high - low || 1) - 2}`;
  const chart = $("pathchart");
  drawn(chart, "path", { class: "score", d: `M${[...scores].map(point).join("L")}` }, "F at the step, minus F at the baseline");
  drawn(chart, "path", { class: "sum", d: `M${[...sums].map(point).join("L")}` }, "sum of the attributions so far");
  drawn(chart, "line", { id: "now", y1: 0, y2: 120 });
  for (const id of ["blend", "attributed"]) {
    const [height, width] = data.size, scale = 224 / Math.max(height, width);
    Object.assign($(id), { width: Math.round(width * scale), height: Math.round(height * scale) });
  }
  showPath();
}

function showPath() {
  if ($("path").hidden) return;
  const k = Number($("step").value), sums = arrays["path.sum"], scores = arrays["path.score"], last = sums.length - 1;
  const blend = $("blend"), context = blend.getContext("2d");
  context.globalAlpha = 1;
  context.fillStyle = `rgb(${data.baseline.join(",")})`;
  context.fillRect(0, 0, blend.width, blend.height);
  context.globalAlpha = k / last;
  context.drawImage(photo, 0, 0, blend.width, blend.height);
  const side = Math.min(1, 56 / Math.max(...data.size));
  const height = Math.max(1, Math.round(data.size[0] * side)), width = arrays["path.maps"].length / last / height, area = height * width;
  const values = k ? arrays["path.maps"].subarray((k - 1) * area, k * area) : new Int8Array(area);
  draw($("attributed"), { height, width, values });
  const x = 600 * k / last;
  $("now").setAttribute("x1", x);
  $("now").setAttribute("x2", x);
  $("pathtext").textContent = `${questions[data.chosen].name}, after ${k} of ${last} steps from the mean color to the image: ` +
    `the attributions sum to ${number(sums[k])}, and the score has changed by ${number(scores[k])}. ` +
    `In the end: ${number(sums[last])} for ${number(scores[last])}.`;
}

begin();
