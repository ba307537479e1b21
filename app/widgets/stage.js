// A picture in a frame of fixed size: zoom at the cursor, hand tool, fit and 100 %. What it shows is
// moved inside the frame, so that neither zoom nor pan ever changes the layout of the page.

// The arithmetic, without the page. A view is {scale, x, y}: CSS pixels of the frame for one pixel
// of the picture, and where the picture's upper left corner lies in the frame.
icm.geometry = (() => {
  const between = (least, value, most) => Math.max(least, Math.min(most, value));

  // Inside the frame where the picture is smaller than it, else without a gap at any side.
  const place = (offset, length, room) => between(Math.min(0, room - length), offset, Math.max(0, room - length));
  function clamped(view, picture, frame) {
    return {
      scale: view.scale,
      x: place(view.x, picture.width * view.scale, frame.width),
      y: place(view.y, picture.height * view.scale, frame.height),
    };
  }
  function fitted(picture, frame, enlarge = Infinity) {
    const scale = Math.min(frame.width / picture.width, frame.height / picture.height, enlarge);
    const centre = (length, space) => (space - length * scale) / 2;
    return { scale, x: centre(picture.width, frame.width), y: centre(picture.height, frame.height) };
  }
  // Another scale, with the pixel of the picture under `at` staying where it is.
  function zoomed(view, scale, at, picture, frame) {
    const times = scale / view.scale;
    return clamped({ scale, x: at.x - (at.x - view.x) * times, y: at.y - (at.y - view.y) * times }, picture, frame);
  }
  function moved(view, dx, dy, picture, frame) {
    return clamped({ ...view, x: view.x + dx, y: view.y + dy }, picture, frame);
  }
  // The part of two fingers' movement that is zoom, and their middle before and after.
  function pinch(before, after) {
    const apart = ([a, b]) => Math.hypot(a.x - b.x, a.y - b.y) || 1;
    const middle = ([a, b]) => ({ x: (a.x + b.x) / 2, y: (a.y + b.y) / 2 });
    return { times: apart(after) / apart(before), from: middle(before), to: middle(after) };
  }
  return { between, clamped, fitted, zoomed, moved, pinch };
})();

// Makes `sheet` zoom and pan inside `frame`.
//   share, tallest: how high the frame may be, as a share of the window and in pixels
//   enlarge: how much a small picture is enlarged to fit
//   thin: a very tall or wide picture begins at this width in pixels instead of fitting
//   onchange(): the view has changed
//   oncancel(): two fingers or the hand take over from what one pointer had begun
//   ontap(): the space key was pressed without a drag
icm.stage = (frame, sheet, options = {}) => {
  const { between, fitted, zoomed, moved, clamped, pinch } = icm.geometry;
  const { share = 0.62, tallest = 620, enlarge = 3, thin = 0, onchange, oncancel, ontap } = options;
  const MOST = 16, STEP = 1.5, NUDGE = 48; // screen pixels a pixel; factor of a button; pixels of an arrow key
  let picture = null, room = { width: 0, height: 0 }, height = 0;
  let view = { scale: 1, x: 0, y: 0 }, fits = true;
  let tool = false, space = false, tapped = false; // the hand is chosen; held by the space key
  let drag = null;                                 // {pointer, x, y} while the hand drags
  const fingers = new Map();                       // touches on the frame, by pointer

  const button = (text, label, onclick) =>
    icm.h("button", { type: "button", class: "icm-button", "aria-label": label, title: label, onclick }, text);
  const smaller = button("−", "Smaller view", () => zoom(1 / STEP));
  const larger = button("+", "Larger view", () => zoom(STEP));
  const fitButton = button("Fit", "Fit the whole picture", fit);
  const fullButton = button("100 %", "One pixel of the picture to one of the screen", actual);
  const handButton = button("Hand", "Hand: drag the picture (or hold the space key)", () => hand(!tool));
  handButton.setAttribute("aria-pressed", "false");
  const controls = icm.h("div", { class: "icm-zooms", role: "group", "aria-label": "View" },
    handButton, smaller, larger, fitButton, fullButton);

  function show(next, fit = false) {
    view = next;
    fits = fit;
    sheet.style.width = `${picture.width * view.scale}px`;
    sheet.style.height = `${picture.height * view.scale}px`;
    sheet.style.left = `${view.x}px`;
    sheet.style.top = `${view.y}px`;
    smaller.disabled = view.scale <= least() * 1.001;
    larger.disabled = view.scale >= most() * 0.999;
    frame.classList.toggle("icm-zoomed", !fits);
    onchange?.();
  }
  const least = () => Math.min(fitted(picture, room, enlarge).scale, 1 / devicePixelRatio);
  const most = () => Math.max(MOST / devicePixelRatio, least());
  const middle = () => ({ x: room.width / 2, y: room.height / 2 });

  // The frame's height follows from its width and the picture: never from what is zoomed.
  function measure() {
    const width = frame.clientWidth;
    const high = between(240, document.documentElement.clientHeight * share, tallest);
    const scale = Math.max(Math.min(width / picture.width, high / picture.height, enlarge), starting());
    height = Math.round(between(200, picture.height * scale, high));
    frame.style.height = `${height}px`;
    room = { width, height: frame.clientHeight };
  }
  const starting = () => Math.min(thin / Math.min(picture.width, picture.height), enlarge);

  // Shows a picture of this size from the beginning; the same size again keeps the view.
  function open(width, height, again = false) {
    const same = picture && picture.width === width && picture.height === height;
    picture = { width, height };
    if (same && !again) { layout(); return; }
    measure();
    if (room.width) begin();
  }
  function begin() {
    const whole = fitted(picture, room, enlarge);
    const large = starting();
    if (large > whole.scale) show(clamped({ scale: large, x: 0, y: 0 }, picture, room));
    else show(whole, true);
  }
  function layout() {
    if (!picture || !frame.clientWidth) return;
    const before = room;
    measure();
    if (!before.width) begin();
    else if (fits) fit();
    else if (before.width !== room.width || before.height !== room.height) {
      const shift = [(room.width - before.width) / 2, (room.height - before.height) / 2];
      show(moved(view, ...shift, picture, room));
    }
  }
  function fit() { if (picture) show(fitted(picture, room, enlarge), true); }
  function actual() { if (picture) scaled(1 / devicePixelRatio, middle()); }
  function zoom(times, at = middle()) { if (picture) scaled(view.scale * times, at); }
  function scaled(scale, at) {
    const kept = between(least(), scale, most());
    if (Math.abs(kept / fitted(picture, room, enlarge).scale - 1) < 0.02) fit();
    else show(zoomed(view, kept, at, picture, room));
  }
  function hand(on) {
    tool = on;
    handButton.setAttribute("aria-pressed", String(on));
    grip();
  }
  const holding = () => tool || space;
  function grip() {
    frame.classList.toggle("icm-hand", holding());
    frame.classList.toggle("icm-grabbed", Boolean(drag));
  }

  let width = 0, windowHeight = 0; // a phone's address bar that comes and goes changes nothing
  new ResizeObserver(() => {
    const high = document.documentElement.clientHeight;
    if (frame.clientWidth === width && Math.abs(high - windowHeight) < 150) return;
    width = frame.clientWidth;
    windowHeight = high;
    layout();
  }).observe(frame);
  addEventListener("resize", () => {
    if (Math.abs(document.documentElement.clientHeight - windowHeight) < 150) return;
    windowHeight = document.documentElement.clientHeight;
    layout();
  });

  // --- wheel, pointers and keys
  function inside(event) {
    const box = frame.getBoundingClientRect();
    return { x: event.clientX - box.left - frame.clientLeft, y: event.clientY - box.top - frame.clientTop };
  }
  frame.addEventListener("wheel", (event) => {
    if (!picture || !(event.ctrlKey || event.metaKey)) return; // a pinch on a touchpad comes with ctrlKey
    event.preventDefault();
    const lines = event.deltaMode === 1 ? 16 : 1;
    zoom(Math.exp(-between(-80, event.deltaY * lines, 80) / 250), inside(event));
  }, { passive: false });

  function taken(event) { event.preventDefault(); event.stopPropagation(); }
  frame.addEventListener("pointerdown", (event) => {
    if (!picture) return;
    if (event.pointerType === "touch") {
      fingers.set(event.pointerId, inside(event));
      if (fingers.size === 2) { drag = null; oncancel?.(); }
      if (fingers.size > 1) { taken(event); return; }
    }
    if (event.button === 1 || event.button === 0 && holding()) {
      taken(event);
      oncancel?.();
      tapped = false;
      drag = { pointer: event.pointerId, ...inside(event) };
      frame.setPointerCapture(event.pointerId);
      grip();
    }
  }, true);
  frame.addEventListener("pointermove", (event) => {
    const at = inside(event);
    if (fingers.has(event.pointerId) && fingers.size === 2) {
      const before = [...fingers.values()];
      fingers.set(event.pointerId, at);
      const { times, from, to } = pinch(before, [...fingers.values()]);
      const scale = between(least(), view.scale * times, most());
      const next = zoomed(view, scale, from, picture, room);
      show(moved(next, to.x - from.x, to.y - from.y, picture, room));
      taken(event);
    } else if (event.pointerId === drag?.pointer) {
      show(moved(view, at.x - drag.x, at.y - drag.y, picture, room), fits);
      drag = { ...drag, ...at };
      taken(event);
    } else if (fingers.size > 2) taken(event);
  }, true);
  function lifted(event) {
    const many = fingers.size > 1;
    fingers.delete(event.pointerId);
    if (event.pointerId === drag?.pointer) { drag = null; grip(); taken(event); } else if (many) taken(event);
  }
  frame.addEventListener("pointerup", lifted, true);
  frame.addEventListener("pointercancel", lifted, true);
  addEventListener("pointerup", (event) => fingers.delete(event.pointerId));

  const writes = (element) => element.matches?.("textarea, [contenteditable], input:not([type=range], [type=radio])");
  const here = (event) => picture && frame.clientWidth && !writes(event.target)
    && (frame.matches(":hover") || frame.contains(event.target));
  addEventListener("keydown", (event) => {
    if (event.key === " " && here(event)) {
      event.preventDefault();
      if (!event.repeat) { space = tapped = true; grip(); }
    }
  }, true);
  addEventListener("keyup", (event) => {
    if (event.key !== " " || !space) return;
    event.preventDefault();
    space = false;
    grip();
    if (tapped && frame.contains(event.target)) ontap?.();
  }, true);
  addEventListener("blur", () => { space = false; grip(); });
  frame.addEventListener("keydown", (event) => {
    if (!picture || event.ctrlKey || event.metaKey || event.altKey) return;
    const nearer = () => zoom(STEP), farther = () => zoom(1 / STEP);
    const act = { "+": nearer, "=": nearer, "-": farther, 0: fit, 1: actual }[event.key];
    const step = tool && { ArrowLeft: [1, 0], ArrowRight: [-1, 0], ArrowUp: [0, 1], ArrowDown: [0, -1] }[event.key];
    if (!act && !step) return;
    taken(event);
    if (act) act(); else show(moved(view, step[0] * NUDGE, step[1] * NUDGE, picture, room), fits);
  }, true);

  return {
    controls, open, layout, fit, actual, zoom, hand,
    get scale() { return view.scale; },
    get busy() { return Boolean(drag) || fingers.size > 1; },
  };
};
