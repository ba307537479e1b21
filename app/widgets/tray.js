// Step 2: the pictures to matte, each with its state; how the run goes.
icm.widgets.tray = (element, act) => {
  const { h, picker, droppable } = icm;
  const WORDS = { waiting: "Waiting", working: "Working …", done: "Done", absent: "Maybe not in this picture", failed: "Failed" };
  let view = { targets: [], chosen: "", progress: { state: "idle" } };
  let sending = []; // {name, preview, error}

  const grid = h("ul", { class: "icm-grid", "aria-label": "Pictures" });
  const bar = h("progress", { max: 1, value: 0, "aria-label": "Progress of the run" });
  const status = h("p", { class: "icm-note", role: "status" });
  const problem = h("p", { class: "icm-problem", role: "alert" });
  const clear = h("button", { type: "button", class: "icm-button", onclick: () => { drop(); act({ action: "clear" }); } }, "Take all away");
  const zone = h("div", { class: "icm-drop icm-drop-flat" },
    h("p", { class: "icm-big" }, "Drop pictures or a folder here"),
    h("div", { class: "icm-row" },
      picker("Choose pictures", { multiple: true, onfiles: add, style: "icm-strong" }),
      picker("Choose a folder", { multiple: true, folder: true, onfiles: add }), clear));
  element.replaceChildren(h("div", { class: "icm" }, zone, grid, bar, status, problem));
  droppable(element, add);
  icm.pasters.push({ element, wants: () => true, take: add });

  const PICTURE = /\.(jpe?g|png|webp|tiff?|bmp|gif|hei[cf])$/i;
  async function add(files) {
    const pictures = files.filter(({ file, name }) => files.length === 1 || file.type.startsWith("image/") || PICTURE.test(name));
    const notes = new Map(pictures.map((each) => [each, { name: each.name, preview: each.file.size < 2e7 ? URL.createObjectURL(each.file) : "", error: null }]));
    sending = sending.filter((note) => note.error).concat([...notes.values()]);
    draw();
    let since = performance.now();
    await icm.sendAll("target", pictures, { onend: (each, error) => {
      const note = notes.get(each);
      note.error = error;
      if (!error) note.sent = true;
      if (performance.now() - since > 1000) { since = performance.now(); act({ action: "refresh" }); }
      draw();
    } });
    act({ action: "refresh" });
  }
  function drop(note) {
    for (const each of sending.filter((other) => !note || other === note)) if (each.preview) URL.revokeObjectURL(each.preview);
    sending = note ? sending.filter((other) => other !== note) : [];
    draw();
  }

  function sendCard(note) {
    const state = note.error ? "failed" : "sending";
    return h("li", { class: `icm-card icm-is-${state}` },
      h("div", { class: "icm-face" }, note.preview && !note.error ? h("img", { src: note.preview, alt: "" }) : h("span", { class: "icm-blank", "aria-hidden": "true" }, "!"),
        h("span", { class: "icm-name" }, note.name), h("span", { class: "icm-badge" }, note.error ? "Refused" : "Sending …")),
      note.error ? h("p", { class: "icm-reason" }, note.error) : null,
      note.error ? h("button", { type: "button", class: "icm-x", "aria-label": `Dismiss ${note.name}`, onclick: () => drop(note) }, "×") : null);
  }
  function targetCard(each) {
    const chosen = each.key === view.chosen && each.ready;
    const face = [h("img", { src: each.thumbnail, alt: "", loading: "lazy" }), h("span", { class: "icm-name", title: each.name }, each.name),
      h("span", { class: "icm-badge" }, WORDS[each.state])];
    return h("li", { class: `icm-card icm-is-${each.state} ${chosen ? "icm-chosen" : ""}`, "data-key": each.key },
      each.ready
        ? h("button", { type: "button", class: "icm-face", "aria-pressed": String(chosen), onclick: () => act({ action: "choose", key: each.key }) }, face)
        : h("div", { class: "icm-face" }, face),
      each.reason ? h("p", { class: "icm-reason" }, each.reason) : null,
      each.state === "failed" && !view.progress.active
        ? h("button", { type: "button", class: "icm-button icm-again", "aria-label": `Try ${each.name} again`, onclick: () => act({ action: "retry", key: each.key }) }, "Try again") : null,
      each.state === "working" ? null
        : h("button", { type: "button", class: "icm-x", "aria-label": `Take ${each.name} away`, title: "Take away", onclick: () => act({ action: "remove", key: each.key }) }, "×"));
  }

  let drawn = ""; // cards are only rebuilt when they differ, so that the focus stays
  function draw() {
    const open = sending.filter((note) => !note.sent);
    const state = JSON.stringify([view.targets, view.chosen, view.progress.active, open]);
    if (state !== drawn) {
      const focus = grid.contains(document.activeElement) ? document.activeElement.getAttribute("aria-label") ?? document.activeElement.textContent : null;
      drawn = state;
      grid.replaceChildren(...view.targets.map(targetCard), ...open.map(sendCard));
      if (focus) [...grid.querySelectorAll("button")].find((button) => (button.getAttribute("aria-label") ?? button.textContent) === focus)?.focus();
    }
    grid.hidden = !grid.children.length;
    clear.hidden = !grid.children.length || view.progress.active;
    const { progress } = view;
    bar.hidden = !progress.active;
    bar.value = progress.total ? progress.done / progress.total : 0;
    status.textContent = progress.text ?? "";
    problem.textContent = progress.message ?? "";
  }
  return (next) => {
    view = next;
    const arrived = sending.filter((note) => note.sent);
    for (const note of arrived) if (note.preview) URL.revokeObjectURL(note.preview);
    sending = sending.filter((note) => !note.sent);
    draw();
  };
};
