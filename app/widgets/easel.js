// Step 1: photos of the object and the marking of it, by clicks, a box, brush and lasso. The mask lies
// on a canvas of the working copy's size; after every change it is sent to the server, which holds the
// truth across reloads.
icm.widgets.easel = (element, act) => {
  const { h, send, picker, droppable, kept } = icm;
  const { NONE, added, some, boxed, grow } = icm.clicks;
  const UNDOS = 20, LEFT_UNDOS = 5, SAVE_AFTER = 200, POINTS = ["point", "exclude"];
  let view = { photos: [], chosen: "", ignored: [] };
  let photo = null;        // on the easel
  let tool = "point", size = 36;
  let stroke = null;       // {points, pointer, outside} while drawing
  let pen = null;          // [x, y] of the keyboard's pen, canvas pixels
  let down = false;        // whether that pen paints
  let clicks = NONE, base = null; // what was clicked, and the mask before that
  let asked = 0, unanswered = 0; // counts the questions what clicks grow to; the one without an answer yet
  let history = [];        // {copy, clicks, base}
  const left = {};         // clicks, base and history of the other photos, by photo
  const known = {};         // version of the mask on the canvas, by photo
  let timer = 0, saving = Promise.resolve();

  const picture = h("img", { alt: "", draggable: "false" });
  const canvas = h("canvas", { tabindex: "0", role: "application",
    "aria-label": "Mark the object. With the keyboard: arrows move, space clicks, or starts and ends painting." });
  const ink = icm.ink(canvas);
  const ring = h("div", { class: "icm-ring", "aria-hidden": "true" });
  const sheet = h("div", { class: "icm-sheet" }, picture, canvas, ring);
  const frame = h("div", { class: "icm-stage" }, sheet);
  const stage = icm.stage(frame, sheet, { thin: 140, oncancel: abandon, ontap: togglePen });
  const status = h("p", { class: "icm-note", role: "status" });
  const problem = h("p", { class: "icm-problem", role: "alert" });
  const strip = h("ul", { class: "icm-strip", "aria-label": "Photos of the object" });

  const tools = icm.radios("Tool", "icm-tool", [
    ["point", "Click or box"], ["exclude", "Not this"], ["brush", "Brush"], ["lasso", "Lasso"], ["eraser", "Eraser"],
  ], (value) => { tool = value; showTool(); describe(); });
  tools.choose(tool);
  const width = h("input", { type: "range", min: 4, max: 160, value: size, oninput: () => { size = +width.value; } });
  const undoButton = h("button", { type: "button", class: "icm-button", onclick: undo }, "Undo");
  const clearButton = h("button", { type: "button", class: "icm-button", onclick: clear }, "Clear");
  const sizeLabel = h("label", { class: "icm-size" }, h("span", {}, "Size"), width);
  const toolbar = h("div", { class: "icm-toolbar" }, tools.group, sizeLabel, undoButton, clearButton, stage.controls);

  const painting = () => tool === "brush" || tool === "eraser";
  function showTool() { sizeLabel.hidden = ring.hidden = !painting(); }
  showTool();

  const example = h("button", { type: "button", class: "icm-button", onclick: () => act({ action: "example" }) },
    "Try an example");
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
  const work = h("div", { class: "icm-work" }, strip, toolbar, frame, status);
  element.replaceChildren(h("div", { class: "icm" }, first, work, problem, more));
  droppable(element, (files) => files.some((f) => f.name.endsWith(".icmref")) ? addSaved(files) : addPhotos(files));
  icm.pasters.push({ element, wants: () => !view.photos.length, take: addPhotos });
  icm.flushes.push(flush);

  async function each(kind, files, key) {
    problem.textContent = "";
    status.textContent = "Sending …";
    for (const { file, name } of files) {
      try {
        const said = await send(kind, file, { name, key });
        if (kind !== "mask") kept.put({ id: said.key, kind, name, blob: file });
      }
      catch (error) { problem.textContent = `${name}: ${error.message}`; }
    }
    describe();
    act({ action: "refresh" });
  }
  async function addPhotos(files) { await flush(); return each("photo", files); }
  function addSaved(files) { return each("reference", files); }
  async function addMask(files) {
    if (!photo) return;
    await flush();
    delete known[photo.key];
    await each("mask", files.slice(0, 1), photo.key);
  }

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
    work.hidden = more.hidden = !view.photos.length;
    strip.replaceChildren(...view.photos.map(card));
    kept.reconcile("photo", view.photos.map(({ key }) => key), false);
    kept.reconcile("reference", view.photos.map(({ key }) => key), false);
    const chosen = view.photos.find((each) => each.key === view.chosen) ?? null;
    const other = chosen?.key !== photo?.key;
    const fresh = chosen && known[chosen.key] !== chosen.version;
    if (photo && other) leave();
    photo = chosen;
    for (const key of Object.keys(left)) if (!view.photos.some((each) => each.key === key)) delete left[key];
    if (photo && (other || fresh)) open(other, fresh);
    example.hidden = !view.example;
  }

  function card(each) {
    const chosen = each.key === view.chosen;
    const ignored = view.ignored.length > 0 && !each.marked;
    const label = `${each.name}${each.marked ? "" : ", not marked yet"}`;
    return h("li", { class: chosen ? "icm-chosen" : "" },
      h("button", { type: "button", "aria-pressed": String(chosen), "aria-label": label,
        onclick: async () => { await flush(); act({ action: "choose", key: each.key }); } },
        h("img", { src: each.url, alt: "" }), ignored ? h("span", { class: "icm-tag" }, "not marked: ignored") : null),
      h("button", { type: "button", class: "icm-x", "aria-label": `Remove ${each.name}`, title: "Remove this photo",
        onclick: () => { if (photo?.key === each.key) stopTimer(); act({ action: "remove", key: each.key }); } },
        "×"));
  }

  function leave() {
    const growing = asked === unanswered;
    left[photo.key] = { clicks, base, growing, history: history.slice(-LEFT_UNDOS) };
  }
  async function open(other, fresh) {
    const { key, url, version, mask: source, saved } = photo;
    const before = other ? left[key] : null;
    if (other) { history = before?.history ?? []; pen = null; down = false; }
    delete left[key];
    settle();
    if (before && !fresh) ({ clicks, base } = before);
    known[key] = version;
    ink.open(photo.width, photo.height);
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
      ink.add(image);
      kept.mark(key, await ink.blob());
    }
    draw(true);
    describe();
    if (before?.growing && !fresh) clicked(clicks);
  }

  function draw(outlined) {
    const drag = stroke?.points;
    ink.draw(ratio(), {
      outlined, clicks, lasso: tool === "lasso" ? drag : null,
      box: tool === "point" && drag ? boxed(drag[0], drag.at(-1), ratio()) : clicks.box,
    });
  }
  function describe() {
    undoButton.disabled = !history.length;
    if (!photo) return;
    if (photo.saved) { status.textContent = `${photo.name}: a saved reference, ready to use.`; return; }
    const share = 100 * ink.share();
    photo.marked = share > 0;
    const much = share < 1 ? "under 1" : Math.round(share);
    const advice = some(clicks) ? CORRECT : COVER;
    status.textContent = share > 0 ? `Marked: ${much} % of the photo. ${advice}` : HINTS[tool];
  }
  const CORRECT = "Click what is missing, and “Not this” what is too much; or use brush and eraser.";
  const COVER = "Only what is marked counts: cover the whole object, and keep off the background.";
  const ERASE = "“Not this” corrects clicks and boxes. This mark has none: use the eraser on what is too much.";
  const HINTS = {
    point: "Click the object, or drag a box around it.",
    exclude: "First click the object, or drag a box around it.",
    brush: "Paint over the whole object, or draw around it with the lasso.",
    lasso: "Draw around the object.", eraser: "Nothing is marked yet: paint over the object first.",
  };

  // --- painting
  const ratio = () => canvas.width / (canvas.getBoundingClientRect().width || canvas.width);
  function at(event) {
    const box = canvas.getBoundingClientRect();
    const x = (event.clientX - box.left) * canvas.width / box.width;
    return [x, (event.clientY - box.top) * canvas.height / box.height];
  }
  function remember() {
    history.push({ copy: ink.copy(), clicks, base });
    if (history.length > UNDOS) history.shift();
  }
  function back() { // to what was remembered last
    const last = history.pop();
    asked++;
    ink.restore(last.copy);
    ({ clicks, base } = last);
  }
  function settle() { // what is marked stays, whatever is clicked next
    clicks = NONE;
    base = null;
    asked++;
  }
  function paint(from, to) {
    settle();
    ink.paint(from, to, size * ratio(), tool === "eraser");
  }
  // Clicks and box grow to the object they lie on; what was painted before stays marked.
  async function clicked(next) {
    if (!some(next)) { status.textContent = ink.share() > 0 ? ERASE : HINTS.exclude; history.pop(); return; }
    base ??= ink.copy();
    clicks = next;
    const mine = unanswered = ++asked, { key } = photo;
    draw(true);
    status.textContent = "Looking for the object …";
    undoButton.disabled = false;
    try {
      const grown = await grow(key, clicks, canvas.width, canvas.height);
      if (mine !== asked || photo?.key !== key) return;
      unanswered = 0;
      ink.restore(base);
      ink.add(grown);
      problem.textContent = "";
      touched();
    } catch (error) {
      if (mine !== asked) return;
      problem.textContent = error.message;
      back();
      draw(true);
      describe();
    }
  }
  let due = 0;
  const soon = () => { due ||= requestAnimationFrame(() => { due = 0; draw(!stroke); }); };

  canvas.addEventListener("pointerdown", (event) => {
    const other = POINTS.includes(tool) && (event.button === 2 || event.button === 0 && event.altKey);
    if (event.button !== 0 && !other || stroke || !photo || photo.saved) return;
    event.preventDefault();
    canvas.focus({ preventScroll: true });
    canvas.setPointerCapture(event.pointerId);
    remember();
    stroke = { pointer: event.pointerId, points: [at(event)], outside: other || tool === "exclude" };
    if (painting()) paint(stroke.points[0], stroke.points[0]);
    soon();
  });
  canvas.addEventListener("pointermove", (event) => {
    moveRing(event);
    if (event.pointerId !== stroke?.pointer) return;
    const events = event.getCoalescedEvents?.() ?? [];
    for (const each of events.length ? events : [event]) {
      const point = at(each);
      if (painting()) paint(stroke.points.at(-1), point);
      stroke.points.push(point);
    }
    soon();
  });
  function end(event) {
    if (event.pointerId !== stroke?.pointer) return;
    const { points, outside } = stroke;
    stroke = null;
    if (POINTS.includes(tool)) {
      const box = outside ? null : boxed(points[0], points.at(-1), ratio());
      clicked(box ? { ...NONE, box } : added(clicks, outside ? "outside" : "inside", points[0]));
      return;
    }
    if (tool === "lasso") { settle(); ink.fill(points); }
    touched();
  }
  function abandon() { // two fingers or the hand took over
    if (!stroke) return;
    stroke = null;
    back();
    draw(true);
  }
  canvas.addEventListener("contextmenu", (event) => { if (POINTS.includes(tool)) event.preventDefault(); });
  canvas.addEventListener("pointerup", end);
  canvas.addEventListener("pointercancel", end);
  canvas.addEventListener("pointerleave", () => { ring.style.display = "none"; });
  function moveRing(event) {
    const box = canvas.getBoundingClientRect();
    ring.style.display = !painting() || event.pointerType === "touch" ? "none" : "block";
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
    if (tool === "lasso") return;
    if (POINTS.includes(tool)) {
      remember();
      clicked(added(clicks, tool === "exclude" ? "outside" : "inside", pen));
    } else {
      down = !down;
      if (down) { remember(); paint(pen, pen); } else touched();
    }
    showPen();
  }
  function showPen() {
    draw(!down);
    ring.hidden = false;
    ring.style.display = "block";
    ring.style.width = ring.style.height = `${size}px`;
    ring.style.left = `${pen[0] / ratio()}px`;
    ring.style.top = `${pen[1] / ratio()}px`;
  }
  canvas.addEventListener("blur", () => { if (down) { down = false; touched(); } });

  function undo() {
    if (!history.length) return;
    back();
    touched();
  }
  function clear() {
    remember();
    settle();
    ink.clear();
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
    const blob = await ink.blob();
    kept.mark(key, blob);
    try {
      const said = await send("painting", blob, { key });
      known[key] = said.version;
      problem.textContent = "";
    } catch (error) { problem.textContent = error.message; }
  }
  return show;
};
