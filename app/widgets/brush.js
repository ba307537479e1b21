// Brushes on the result: what a stroke lies on is kept or erased. The server mattes the region of a
// stroke anew; undo and redo send the strokes that are left.
//   paper: the sheet that shows the picture    send(edit): resolves when the result is there
icm.brush = (paper, send) => {
  const { h } = icm;
  const SPACING = 1.5, MOST = 4000; // pixels of the screen between two points; points of a stroke
  const COLOURS = { keep: "rgba(22, 163, 74, 0.6)", erase: "rgba(220, 38, 38, 0.6)" };
  const NOTHING = { strokes: [], adjustment: {} };
  let result = null, edit = NOTHING;
  let tool = "", line = null, undone = [], waiting = 0;

  const ink = h("canvas", { class: "icm-strokes", "aria-hidden": "true" });
  const ring = h("div", { class: "icm-ring", "aria-hidden": "true", hidden: true });
  paper.append(ink, ring);
  const tools = {};
  const button = (name, text, title, onclick) =>
    (tools[name] = h("button", { type: "button", class: "icm-button", title, onclick }, text));
  const range = (label, attributes) => {
    const input = h("input", { type: "range", ...attributes });
    return { input, label: h("label", { class: "icm-knob" }, h("span", {}, label), input) };
  };
  const size = range("Brush", { min: 0.5, max: 20, step: 0.5, value: 4, "aria-label": "Brush size" });
  const hard = range("Hardness", { min: 0, max: 1, step: 0.1, value: 0.8, "aria-label": "Brush hardness" });
  const exact = h("input", { type: "checkbox" });
  const says = h("span", { class: "icm-note", role: "status" });
  const row = h("div", { class: "icm-toolbar icm-touch", role: "group", "aria-label": "Touch up" },
    h("span", { class: "icm-caption", "aria-hidden": "true" }, "Touch up:"),
    button("keep", "Keep", "Draw over what is missing", () => choose("keep")),
    button("erase", "Erase", "Draw over what is too much", () => choose("erase")),
    size.label, hard.label, h("label", { class: "icm-knob" }, exact, h("span", {}, "Paint exactly")),
    button("undo", "Undo stroke", "Undo the last stroke", undo),
    button("redo", "Redo stroke", "Draw it again", redo), says);

  function choose(name) {
    tool = tool === name ? "" : name;
    says.textContent = tool === "" ? "" : exact.checked ? "Paint." : "One line through the region is enough.";
    update();
  }
  function update() {
    for (const name of ["keep", "erase"]) tools[name].setAttribute("aria-pressed", String(tool === name));
    tools.undo.disabled = !edit.strokes.length;
    tools.redo.disabled = !undone.length;
    paper.classList.toggle("icm-drawing", tool !== "");
    if (!tool) ring.hidden = true;
  }

  const width = () => +size.input.value / 100 * Math.max(result.width, result.height);
  const scale = () => paper.getBoundingClientRect().width / result.width;
  function at(event) {
    const box = paper.getBoundingClientRect();
    const [x, y] = [(event.clientX - box.left) / box.width, (event.clientY - box.top) / box.height];
    return [x * result.width - 0.5, y * result.height - 0.5];
  }
  function follow(event) {
    const box = paper.getBoundingClientRect(), wide = width() * scale();
    const [left, top] = [event.clientX - box.left, event.clientY - box.top];
    Object.assign(ring.style, { width: `${wide}px`, height: `${wide}px`, left: `${left}px`, top: `${top}px` });
    ring.hidden = !tool || event.pointerType === "touch";
  }
  function show() { // strokes that the result does not show yet
    const box = paper.getBoundingClientRect();
    ink.width = Math.round(box.width);
    ink.height = Math.round(box.height);
    if (!line) return;
    const pen = ink.getContext("2d"), times = ink.width / result.width;
    pen.lineCap = pen.lineJoin = "round";
    pen.lineWidth = Math.max(1, line.width * times);
    pen.strokeStyle = COLOURS[line.keep ? "keep" : "erase"];
    pen.beginPath();
    for (const [x, y] of [...line.points, line.points.at(-1)]) pen.lineTo((x + 0.5) * times, (y + 0.5) * times + 0.01);
    pen.stroke();
  }

  paper.addEventListener("pointerdown", (event) => {
    if (!tool || event.button !== 0 || !result) return;
    event.preventDefault();
    event.stopImmediatePropagation();
    paper.setPointerCapture(event.pointerId);
    const brush = { keep: tool === "keep", width: width(), hardness: +hard.input.value, exact: exact.checked };
    line = { points: [at(event)], ...brush, pointer: event.pointerId };
    show();
  }, true);
  paper.addEventListener("pointermove", (event) => {
    if (tool && result) follow(event);
    if (line?.pointer !== event.pointerId) return;
    event.stopImmediatePropagation();
    const next = at(event), last = line.points.at(-1);
    const apart = Math.hypot(next[0] - last[0], next[1] - last[1]) * scale();
    if (apart < SPACING || line.points.length >= MOST) return;
    line.points.push(next);
    show();
  }, true);
  paper.addEventListener("pointerup", (event) => {
    if (line?.pointer !== event.pointerId) return;
    event.stopImmediatePropagation();
    const stroke = { ...line };
    delete stroke.pointer;
    line = { ...stroke, pointer: null };
    undone = [];
    change({ ...edit, strokes: [...edit.strokes, stroke] });
  }, true);
  paper.addEventListener("pointercancel", cancel, true);
  paper.addEventListener("pointerleave", () => { ring.hidden = true; });
  function cancel() {
    if (!line || line.pointer === null) return;
    line = null;
    show();
  }

  function undo() {
    if (!edit.strokes.length) return;
    undone.push(edit.strokes.at(-1));
    change({ ...edit, strokes: edit.strokes.slice(0, -1) });
  }
  function redo() {
    if (!undone.length) return;
    change({ ...edit, strokes: [...edit.strokes, undone.pop()] });
  }
  async function change(next) {
    const before = edit, key = result.key;
    edit = next;
    waiting += 1;
    says.textContent = "Working …";
    update();
    try {
      await send(key, next);
      says.textContent = "";
    } catch (error) {
      if (result?.key === key) edit = before;
      says.textContent = error.message;
    }
    waiting -= 1;
    if (!waiting && line?.pointer === null) { line = null; show(); }
    update();
  }

  // Shows the strokes of a result; an answer from before a change that is on its way says nothing new.
  function open(next) {
    if (next?.key !== result?.key) { line = null; undone = []; edit = next?.edit ?? NOTHING; }
    else if (!waiting && next) edit = next.edit ?? NOTHING;
    result = next;
    if (result) show();
    update();
  }
  addEventListener("keydown", (event) => {
    if (!tool || !(event.ctrlKey || event.metaKey) || event.key.toLowerCase() !== "z") return;
    event.preventDefault();
    if (event.shiftKey) redo(); else undo();
  });
  update();
  return { row, open, cancel, change: (adjustment) => change({ ...edit, adjustment }) };
};
