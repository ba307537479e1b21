// The panel of adjustments: knobs that change a finished result at once, without the network.
//   change(adjustment): changes this result    all(adjustment): changes every result
icm.panel = (paper, change, all) => {
  const { h, radios } = icm;
  const PAUSE = 120; // milliseconds after the last movement of a knob
  const KNOBS = [ // field, label, range, default, from the shown number to the field
    ["edge_shift", "Edge in / out (pixels)", { min: -10, max: 10, step: 0.5 }, 0, 1],
    ["feather", "Feather (pixels)", { min: 0, max: 30, step: 1 }, 0, 1],
    ["fill_holes", "Fill holes up to (%)", { min: 0, max: 100, step: 1 }, 0, 0.01],
    ["drop_islands", "Drop islands up to (%)", { min: 0, max: 100, step: 1 }, 0, 0.01],
    ["foreground", "Clean edge colours (%)", { min: 0, max: 100, step: 5 }, 100, 0.01],
  ];
  let result = null, later = 0, places = [], picking = false, moved = 0, sent = 0; // movements
  const inputs = {};
  const knobs = KNOBS.map(([field, label, limits, start]) => {
    const output = h("output", {}, String(start));
    inputs[field] = h("input", { type: "range", ...limits, value: start, "aria-label": label, oninput: soon });
    inputs[field].output = output;
    return h("label", { class: "icm-knob" }, h("span", {}, label), inputs[field], output);
  });
  const KINDS = [["all", "All"], ["largest", "Largest"], ["clicked", "Those I click"]];
  const objects = radios("Objects", "icm-objects", KINDS, (value) => {
    picking = value === "clicked";
    places = [];
    paper.classList.toggle("icm-picking", picking);
    if (!picking) soon();
  });
  objects.choose("all");
  const says = h("span", { class: "icm-note", role: "status" });
  const every = h("button", { type: "button", class: "icm-button", onclick: forAll }, "Apply to all pictures");
  const reset = h("button", { type: "button", class: "icm-button", onclick: () => { fill({}); soon(); } }, "Reset");
  const box = h("details", { class: "icm-panel" }, h("summary", {}, "Adjust"),
    h("div", { class: "icm-knobs" }, knobs), h("div", { class: "icm-row" }, objects.group),
    h("div", { class: "icm-row" }, every, reset, says));

  function values() {
    const chosen = { objects: "all" };
    for (const [field, , , start, unit] of KNOBS) {
      const value = +inputs[field].value;
      if (value !== start) chosen[field] = +(value * unit).toFixed(4);
    }
    const kind = objects.group.querySelector("input:checked")?.value;
    if (kind === "largest") chosen.objects = kind;
    if (kind === "clicked" && places.length) chosen.objects = places;
    return chosen;
  }
  function fill(adjustment) {
    for (const [field, , , start, unit] of KNOBS) {
      inputs[field].value = field in adjustment ? Math.round(adjustment[field] / unit * 100) / 100 : start;
      inputs[field].output.textContent = inputs[field].value;
    }
    const kind = Array.isArray(adjustment.objects) ? "clicked" : adjustment.objects ?? "all";
    places = kind === "clicked" ? adjustment.objects : [];
    picking = kind === "clicked";
    paper.classList.toggle("icm-picking", picking);
    objects.choose(kind);
  }
  function soon() {
    for (const [field] of KNOBS) inputs[field].output.textContent = inputs[field].value;
    const own = moved += 1;
    clearTimeout(later);
    later = setTimeout(async () => { await change(values()); sent = own; }, PAUSE);
  }
  async function forAll() {
    every.disabled = true;
    says.textContent = "Working …";
    try { says.textContent = `${(await all(values())).changed} changed.`; }
    catch (error) { says.textContent = error.message; }
    every.disabled = false;
  }
  paper.addEventListener("pointerdown", (event) => {
    if (!picking || !result || event.button !== 0) return;
    event.preventDefault();
    event.stopImmediatePropagation();
    const area = paper.getBoundingClientRect();
    const [x, y] = [(event.clientX - area.left) / area.width, (event.clientY - area.top) / area.height];
    places = [...places, [x * result.width, y * result.height]];
    soon();
  }, true);

  function open(next) {
    const other = next?.key !== result?.key;
    result = next;
    if (next && (other || moved === sent)) fill(next.edit?.adjustment ?? {});
  }
  return { box, open };
};
