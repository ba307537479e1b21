// Step 3: a result from all sides. The background is put behind the cut-out by the browser, so it
// changes at once; the server hears of it for the composites of the zip.
icm.widgets.viewer = (element, act) => {
  const { h, picker, radios } = icm;
  const ALTS = {
    cutout: "Cut-out", alpha: "Alpha: white is kept", guidance: "Guidance: where the model saw the object",
  };
  const KINDS = { cutout: "Cut-out", alpha: "Alpha", composite: "Composite" };
  const COLOURS = { white: "#ffffff", black: "#000000" };
  let view = { result: null };
  const SHARE = 0.52, TALLEST = 720; // of the window's height, and pixels, for the picture
  let side = "compare";

  const before = h("img", { class: "icm-before", alt: "Before" });
  const after = h("img", { class: "icm-after", alt: "" });
  const line = h("div", { class: "icm-line", "aria-hidden": "true" });
  const paper = h("div", { class: "icm-paper" }, h("div", { class: "icm-behind" }, after), before, line);
  const frame = h("div", { class: "icm-look", tabindex: "0", role: "application", "aria-label":
    "The result. + and − zoom, 0 fits the whole picture, 1 shows it at 100 %." }, paper);
  const oncancel = () => touch.cancel();
  const stage = icm.stage(frame, paper, { share: SHARE, tallest: TALLEST, onchange: sharpen, oncancel });
  const edits = icm.edits(() => act({ action: "refresh" }));
  const touch = icm.brush(paper, edits.send);
  const panel = icm.panel(paper, touch.change, edits.all);
  const again = h("button", { type: "button", class: "icm-button", onclick: useAsReference }, "Use as reference");
  const exporting = icm.exporting(() => `${icm.token}/export`, () => act({ action: "refresh" }));
  const slider = h("input", { type: "range", min: 0, max: 100, step: 0.5, value: 50, oninput: cut });
  const sliderLabel = h("label", { class: "icm-slide" }, h("span", {}, "Before"), slider, h("span", {}, "After"));
  slider.setAttribute("aria-label", "Before and after");
  const sides = radios("Show", "icm-side", [
    ["compare", "Before / after"], ["cutout", "Cut-out"], ["alpha", "Alpha"], ["guidance", "Guidance"],
  ], (value) => { side = value; draw(); });
  sides.choose(side);
  const colour = h("input", { type: "color", value: "#3b82f6", "aria-label": "Background colour",
    oninput: () => back(colour.value) });
  const backs = radios("Background", "icm-back", [
    ["checker", "Checker"], ["white", "White"], ["black", "Black"], ["colour", "Colour"], ["picture", "Picture"],
  ], (value) => back(COLOURS[value] ?? (value === "colour" ? colour.value : value)));
  const upload = picker("Choose a background", { onfiles: addBackground });
  const problem = h("p", { class: "icm-problem", role: "alert" });
  const downloads = h("div", { class: "icm-row icm-downloads" });
  const copy = icm.copier(() => view.result.full.cutout, problem);
  const everything = h("a", { class: "icm-button icm-strong icm-last", download: "mattes.zip" }, "Download all (zip)");
  const verdict = icm.verdict(act, everything);
  const empty = icm.welcome();
  const behindBar = h("div", { class: "icm-toolbar" },
    h("span", { class: "icm-caption", "aria-hidden": "true" }, "Background:"), backs.group, colour, upload);
  const lookBar = h("div", { class: "icm-toolbar" }, sides.group, stage.controls);
  const work = h("div", { class: "icm-work" },
    verdict.row, lookBar, touch.row, frame, sliderLabel, panel.box, behindBar, exporting.box, downloads);
  element.replaceChildren(h("div", { class: "icm" }, empty, work, problem));

  async function useAsReference() {
    problem.textContent = "";
    again.disabled = true;
    try { await edits.reference(view.result.key); }
    catch (error) { problem.textContent = error.message; }
    again.disabled = false;
  }
  async function addBackground([{ file, name }]) {
    problem.textContent = "";
    try { await icm.send("background", file, { name }); wanted = null; act({ action: "refresh" }); }
    catch (error) { problem.textContent = `${name}: ${error.message}`; }
  }
  let told = 0, wanted = null; // a background that the server may not know of yet
  function back(value) {
    if (value === "picture" && !view.picture) { upload.querySelector("input").click(); showBack(); return; }
    view.background = wanted = value;
    draw();
    clearTimeout(told);
    told = setTimeout(() => act({ action: "background", value }), 250);
  }
  function showBack() {
    const { background } = view;
    const named = { "#ffffff": "white", "#000000": "black" }[background];
    const name = named ?? (background?.startsWith("#") ? "colour" : background);
    backs.choose(name);
    if (name === "colour") colour.value = background;
    colour.hidden = name !== "colour";
    upload.hidden = name !== "picture";
  }
  function cut() {
    const share = +slider.value;
    before.style.clipPath = `inset(0 ${100 - share}% 0 0)`;
    line.style.left = `${share}%`;
  }
  // Dragging on the picture moves the slider.
  paper.addEventListener("pointerdown", (event) => {
    if (side !== "compare" || event.button !== 0) return;
    event.preventDefault();
    paper.setPointerCapture(event.pointerId);
    drag(event);
  });
  paper.addEventListener("pointermove", (event) => { if (paper.hasPointerCapture(event.pointerId)) drag(event); });
  function drag(event) {
    const box = paper.getBoundingClientRect();
    slider.value = 100 * (event.clientX - box.left) / box.width;
    cut();
  }

  // Small copies while they suffice; the full files where they are looked at more closely.
  function sharpen() {
    const { result } = view;
    if (!result) return;
    const wanted = stage.scale * devicePixelRatio;
    const longest = Math.max(result.width, result.height);
    const near = wanted * longest > 1.01 * Math.min(1280, longest);
    const files = near ? result.full : result.look;
    const kind = side === "compare" ? "cutout" : side;
    const source = files[kind] ?? result.look[kind];
    if (after.getAttribute("src") !== source) after.src = source;
    if (before.getAttribute("src") !== files.before) before.src = files.before;
    paper.classList.toggle("icm-pixels", near && wanted > 1.5);
  }

  function draw() {
    const { result } = view;
    empty.hidden = Boolean(result);
    work.hidden = !result;
    if (!result) return;
    const kind = side === "compare" ? "cutout" : side;
    after.alt = ALTS[kind];
    before.hidden = line.hidden = sliderLabel.hidden = side !== "compare";
    stage.open(result.width, result.height);
    if (!edits.old(result)) { touch.open(result); panel.open(result); }
    exporting.open(view.export, view.version);
    sharpen();
    const behind = paper.firstChild.style;
    const cutout = kind === "cutout", { background } = view;
    paper.firstChild.classList.toggle("icm-checker", cutout && background === "checker");
    behind.backgroundColor = cutout && background.startsWith("#") ? background : "";
    behind.backgroundImage = cutout && background === "picture" ? `url("${view.picture}")` : "";
    showBack();
    behindBar.hidden = !cutout;
    cut();
    paper.classList.toggle("icm-dimmed", verdict.show(view) && kind === "cutout");
    const link = ([each, text]) => h("a", { class: "icm-button", href: result.downloads[each], download: "" }, text);
    const files = view.export?.kinds ?? Object.keys(KINDS);
    const behindAll = background !== "checker" || view.export?.format === "jpeg";
    const kinds = Object.entries(KINDS).filter(([each]) => files.includes(each) && (each !== "composite" || behindAll));
    const caption = h("span", { class: "icm-caption" }, "Download this picture:");
    downloads.replaceChildren(caption, ...kinds.map(link), copy, again);
    everything.href = view.zip;
    everything.textContent = `Download all ${view.done} (zip)`;
  }
  return (next) => {
    if (next.background === wanted) wanted = null;
    view = { ...next, background: wanted ?? next.background };
    draw();
  };
};
