// Step 1: photos of the object and the painting on them. The mask lives on a canvas of the working
// copy's size; after every stroke it is sent to the server, which holds the truth across reloads.
icm.widgets.easel = (element, act) => {
  const { h, send, picker, droppable } = icm;
  const UNDOS = 20, SAVE_AFTER = 200;
  let view = { photos: [], chosen: "" };
  let photo = null;        // on the easel
  let tool = "brush", size = 36;
  let stroke = null;       // {points, pointer} while painting
  let pen = null;          // [x, y] of the keyboard's pen, canvas pixels
  let down = false;        // whether that pen paints
  let history = [];
  let known = {};          // version of the mask on the canvas, by photo
  let timer = 0, saving = Promise.resolve();

  const mask = document.createElement("canvas");
  const ink = mask.getContext("2d", { willReadFrequently: true });
  const picture = h("img", { alt: "", draggable: "false" });
  const canvas = h("canvas", { tabindex: "0", role: "application",
    "aria-label": "Paint over the object. With the keyboard: arrows move, space starts and ends painting." });
  const paper = canvas.getContext("2d");
  const ring = h("div", { class: "icm-ring", "aria-hidden": "true" });
  const sheet = h("div", { class: "icm-sheet" }, picture, canvas, ring);
  const frame = h("div", { class: "icm-stage" }, sheet);
  const stage = icm.stage(frame, sheet, { thin: 140, oncancel: abandon, ontap: togglePen });
  const status = h("p", { class: "icm-note", role: "status" });
  const problem = h("p", { class: "icm-problem", role: "alert" });
  const strip = h("ul", { class: "icm-strip", "aria-label": "Photos of the object" });

  const tools = icm.radios("Tool", "icm-tool", [["brush", "Brush"], ["lasso", "Lasso"], ["eraser", "Eraser"]],
    (value) => { tool = value; ring.hidden = tool === "lasso"; });
  tools.choose(tool);
  const width = h("input", { type: "range", min: 4, max: 160, value: size, oninput: () => { size = +width.value; } });
  const undoButton = h("button", { type: "button", class: "icm-button", onclick: undo }, "Undo");
  const clearButton = h("button", { type: "button", class: "icm-button", onclick: clear }, "Clear");
  const toolbar = h("div", { class: "icm-toolbar" }, tools.group,
    h("label", { class: "icm-size" }, h("span", {}, "Size"), width), undoButton, clearButton, stage.controls);

  const example = h("button", { type: "button", class: "icm-button", onclick: () => act({ action: "example" }) }, "Try an example");
  const first = h("div", { class: "icm-drop" },
    h("p", { class: "icm-big" }, "Drop a photo of the object here"),
    h("p", { class: "icm-small" }, "or paste one, or"),
    h("div", { class: "icm-row" },
      picker("Choose a photo", { multiple: true, onfiles: addPhotos, style: "icm-strong" }), example,
      picker("Open a saved reference", { accept: ".icmref", onfiles: addSaved })),
    h("p", { class: "icm-small" }, "A cut-out with transparency brings its marks along."));
  const more = h("div", { class: "icm-row" },
    picker("Add another photo", { multiple: true, onfiles: addPhotos }),
    picker("Use a mask or cut-out file", { onfiles: addMask }),
    h("button", { type: "button", class: "icm-button", onclick: saveReference }, "Save reference"));
  const work = h("div", { class: "icm-work" }, strip, toolbar, frame, status, more);
  element.replaceChildren(h("div", { class: "icm" }, first, work, problem));
  droppable(element, (files) => files.some((f) => f.name.endsWith(".icmref")) ? addSaved(files) : addPhotos(files));
  icm.pasters.push({ element, wants: () => !view.photos.length, take: addPhotos });
  icm.flushes.push(flush);

  async function each(kind, files, key) {
    problem.textContent = "";
    status.textContent = "Sending …";
    for (const { file, name } of files) {
      try { await send(kind, file, { name, key }); }
      catch (error) { problem.textContent = `${name}: ${error.message}`; }
    }
    describe();
    act({ action: "refresh" });
  }
  async function addPhotos(files) { await flush(); return each("photo", files); }
  function addSaved(files) { return each("reference", files); }
  async function addMask(files) { if (photo) { await flush(); delete known[photo.key]; await each("mask", files.slice(0, 1), photo.key); } }

  async function saveReference() {
    problem.textContent = "";
    await icm.settled();
    const response = await fetch(icm.url(`${icm.token}/reference.icmref`)).catch(() => null);
    if (!response?.ok) {
      const said = await response?.json().catch(() => null);
      problem.textContent = said?.error ?? "the server cannot be reached";
      return;
    }
    const link = h("a", { href: URL.createObjectURL(await response.blob()), download: "object.icmref" });
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 60000);
  }

  // --- what is shown
  function show(next) {
    view = next;
    first.hidden = view.photos.length > 0;
    work.hidden = !view.photos.length;
    strip.replaceChildren(...view.photos.map(card));
    strip.hidden = view.photos.length < 2 && !view.photos.some((each) => each.saved);
    const chosen = view.photos.find((each) => each.key === view.chosen) ?? null;
    const other = chosen?.key !== photo?.key;
    const fresh = chosen && known[chosen.key] !== chosen.version;
    photo = chosen;
    if (photo && (other || fresh)) open(other);
    example.hidden = !view.example;
  }

  function card(each) {
    const chosen = each.key === view.chosen;
    return h("li", { class: chosen ? "icm-chosen" : "" },
      h("button", { type: "button", "aria-pressed": String(chosen), "aria-label": `${each.name}${each.marked ? "" : ", not marked yet"}`,
        onclick: async () => { await flush(); act({ action: "choose", key: each.key }); } },
        h("img", { src: each.url, alt: "" })),
      h("button", { type: "button", class: "icm-x", "aria-label": `Take ${each.name} away`, title: "Take away",
        onclick: () => { if (photo?.key === each.key) stopTimer(); act({ action: "remove", key: each.key }); } }, "×"));
  }

  async function open(other) {
    const { key, url, version, mask: source, saved } = photo;
    if (other) { history = []; pen = null; down = false; }
    known[key] = version;
    for (const each of [mask, canvas]) { each.width = photo.width; each.height = photo.height; }
    picture.src = url;
    picture.alt = `Photo of the object: ${photo.name}`;
    toolbar.hidden = Boolean(saved);
    canvas.style.pointerEvents = saved ? "none" : "";
    stage.open(photo.width, photo.height, other);
    if (source) {
      const image = new Image();
      image.src = source;
      await image.decode().catch(() => null);
      if (photo?.key !== key || known[key] !== version) return;
      // The stored mask is grey; the canvas keeps it as alpha.
      ink.drawImage(image, 0, 0, mask.width, mask.height);
      const pixels = ink.getImageData(0, 0, mask.width, mask.height);
      for (let i = 0; i < pixels.data.length; i += 4) {
        pixels.data[i + 3] = pixels.data[i];
        pixels.data[i] = pixels.data[i + 1] = pixels.data[i + 2] = 255;
      }
      ink.putImageData(pixels, 0, 0);
    }
    draw(true);
    describe();
  }

  const tint = document.createElement("canvas"), edge = document.createElement("canvas");
  function coloured(source, target, colour) {
    target.width = source.width; target.height = source.height;
    const context = target.getContext("2d");
    context.drawImage(source, 0, 0);
    context.globalCompositeOperation = "source-in";
    context.fillStyle = colour;
    context.fillRect(0, 0, target.width, target.height);
    return target;
  }
  function draw(outlined) {
    paper.clearRect(0, 0, canvas.width, canvas.height);
    paper.globalAlpha = 0.42;
    paper.drawImage(coloured(mask, tint, "#ff2d78"), 0, 0);
    paper.globalAlpha = 1;
    if (outlined) outline();
    if (stroke && tool === "lasso") {
      paper.lineWidth = 2 * ratio();
      for (const [colour, dash] of [["#fff", []], ["#c2185b", [6, 6]]]) {
        paper.strokeStyle = colour;
        paper.setLineDash(dash.map((length) => length * ratio()));
        paper.beginPath();
        stroke.points.forEach(([x, y]) => paper.lineTo(x, y));
        paper.stroke();
      }
      paper.setLineDash([]);
    }
  }
  function outline() { // the mask grown by a line's width, less the mask
    const line = Math.max(1, Math.round(1.5 * ratio()));
    for (const [colour, reach] of [["#ffffff", 2 * line], ["#c2185b", line]]) {
      coloured(mask, tint, colour);
      edge.width = mask.width; edge.height = mask.height;
      const context = edge.getContext("2d");
      for (let turn = 0; turn < 8; turn++)
        context.drawImage(tint, Math.cos(turn * Math.PI / 4) * reach, Math.sin(turn * Math.PI / 4) * reach);
      context.globalCompositeOperation = "destination-out";
      context.drawImage(mask, 0, 0);
      paper.drawImage(edge, 0, 0);
    }
  }
  function describe() {
    undoButton.disabled = !history.length;
    if (!photo) return;
    if (photo.saved) { status.textContent = `${photo.name}: a saved reference, ready to use.`; return; }
    const { data } = ink.getImageData(0, 0, mask.width, mask.height);
    let marked = 0;
    for (let i = 3; i < data.length; i += 4) marked += data[i] >= 128;
    const share = 100 * marked / (mask.width * mask.height);
    photo.marked = marked > 0;
    status.textContent = marked
      ? `Marked: ${share < 1 ? "under 1" : Math.round(share)} % of the photo. Roughly right is enough; keep off the background.`
      : "Paint over the object you want, or draw around it with the lasso.";
  }

  // --- painting
  const ratio = () => canvas.width / (canvas.getBoundingClientRect().width || canvas.width);
  function at(event) {
    const box = canvas.getBoundingClientRect();
    return [(event.clientX - box.left) * canvas.width / box.width, (event.clientY - box.top) * canvas.height / box.height];
  }
  function remember() {
    const copy = document.createElement("canvas");
    copy.width = mask.width; copy.height = mask.height;
    copy.getContext("2d").drawImage(mask, 0, 0);
    history.push(copy);
    if (history.length > UNDOS) history.shift();
  }
  function paint(from, to) {
    ink.globalCompositeOperation = tool === "eraser" ? "destination-out" : "source-over";
    ink.strokeStyle = "#fff";
    ink.lineCap = ink.lineJoin = "round";
    ink.lineWidth = size * ratio();
    ink.beginPath();
    ink.moveTo(...from);
    ink.lineTo(to[0] + 0.01, to[1]);
    ink.stroke();
    ink.globalCompositeOperation = "source-over";
  }
  function fill(points) {
    ink.fillStyle = "#fff";
    ink.beginPath();
    points.forEach(([x, y]) => ink.lineTo(x, y));
    ink.fill();
  }
  let due = 0;
  const soon = () => { due ||= requestAnimationFrame(() => { due = 0; draw(!stroke); }); };

  canvas.addEventListener("pointerdown", (event) => {
    if (event.button !== 0 || stroke || !photo || photo.saved) return;
    event.preventDefault();
    canvas.focus({ preventScroll: true });
    canvas.setPointerCapture(event.pointerId);
    remember();
    stroke = { pointer: event.pointerId, points: [at(event)] };
    if (tool !== "lasso") paint(stroke.points[0], stroke.points[0]);
    soon();
  });
  canvas.addEventListener("pointermove", (event) => {
    moveRing(event);
    if (event.pointerId !== stroke?.pointer) return;
    const events = event.getCoalescedEvents?.() ?? [];
    for (const each of events.length ? events : [event]) {
      const point = at(each);
      if (tool !== "lasso") paint(stroke.points.at(-1), point);
      stroke.points.push(point);
    }
    soon();
  });
  function end(event) {
    if (event.pointerId !== stroke?.pointer) return;
    if (tool === "lasso") fill(stroke.points);
    stroke = null;
    touched();
  }
  function abandon() { // two fingers or the hand took over
    if (!stroke) return;
    stroke = null;
    const last = history.pop();
    ink.clearRect(0, 0, mask.width, mask.height);
    ink.drawImage(last, 0, 0);
    draw(true);
  }
  canvas.addEventListener("pointerup", end);
  canvas.addEventListener("pointercancel", end);
  canvas.addEventListener("pointerleave", () => { ring.style.display = "none"; });
  function moveRing(event) {
    const box = canvas.getBoundingClientRect();
    ring.style.display = tool === "lasso" || event.pointerType === "touch" ? "none" : "block";
    ring.style.width = ring.style.height = `${size}px`;
    ring.style.left = `${event.clientX - box.left}px`;
    ring.style.top = `${event.clientY - box.top}px`;
  }

  canvas.addEventListener("keydown", (event) => {
    if ((event.ctrlKey || event.metaKey) && event.key === "z") { event.preventDefault(); undo(); return; }
    if (event.key === "[" || event.key === "]") {
      size = Math.max(4, Math.min(160, size + (event.key === "]" ? 6 : -6)));
      width.value = size;
      return;
    }
    const step = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] }[event.key];
    if (!step) return;
    event.preventDefault();
    if (!photo || photo.saved) return;
    pen ??= [canvas.width / 2, canvas.height / 2];
    const reach = (event.shiftKey ? 1 : size / 2) * ratio();
    const inside = (value, most) => Math.max(0, Math.min(most, value));
    const next = [inside(pen[0] + step[0] * reach, canvas.width), inside(pen[1] + step[1] * reach, canvas.height)];
    if (down) paint(pen, next);
    pen = next;
    showPen();
  });
  function togglePen() {
    if (!photo || photo.saved || document.activeElement !== canvas) return;
    pen ??= [canvas.width / 2, canvas.height / 2];
    down = !down;
    if (down) { remember(); paint(pen, pen); } else touched();
    showPen();
  }
  function showPen() {
    draw(!down);
    ring.style.display = "block";
    ring.style.width = ring.style.height = `${size}px`;
    ring.style.left = `${pen[0] / ratio()}px`;
    ring.style.top = `${pen[1] / ratio()}px`;
  }
  canvas.addEventListener("blur", () => { if (down) { down = false; touched(); } });

  function undo() {
    const last = history.pop();
    if (!last) return;
    ink.clearRect(0, 0, mask.width, mask.height);
    ink.drawImage(last, 0, 0);
    touched();
  }
  function clear() {
    remember();
    ink.clearRect(0, 0, mask.width, mask.height);
    touched();
  }

  // --- saving
  function stopTimer() { clearTimeout(timer); timer = 0; }
  function touched() {
    draw(true);
    describe();
    stopTimer();
    timer = setTimeout(flush, SAVE_AFTER);
  }
  function flush() { // resolves when all that was painted has arrived
    if (timer) {
      stopTimer();
      const { key } = photo;
      saving = saving.then(() => save(key));
    }
    return saving;
  }
  async function save(key) {
    const blob = await new Promise((done) => mask.toBlob(done, "image/png"));
    try {
      const said = await send("painting", blob, { key });
      known[key] = said.version;
      problem.textContent = "";
    } catch (error) { problem.textContent = error.message; }
  }
  return show;
};
