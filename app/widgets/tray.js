// Step 2: the pictures to matte in the order of their upload. Each card shows its state and, once it
// is there, its cut-out; failures are summed up above, and a removal can be undone.

// What the button that cuts a marked photo out says; its name where there are several.
icm.offerWords = (name, several) => `Cut it out of ${several ? name : "the marked photo"} too`;

// Which of some files are pictures, and a sentence on those that are not. One alone is sent in any case.
icm.pictures = (files) => {
  const PICTURE = /\.(jpe?g|png|webp|tiff?|bmp|gif|hei[cf])$/i, NAMED = 3;
  const wanted = ({ file, name }) => files.length === 1 || file.type.startsWith("image/") || PICTURE.test(name);
  const names = files.filter((each) => !wanted(each)).map(({ name }) => name);
  const more = names.length > NAMED ? ` and ${names.length - NAMED} more` : "";
  const said = names.length ? `Left out, no pictures: ${names.slice(0, NAMED).join(", ")}${more}.` : "";
  return { pictures: files.filter(wanted), said };
};

icm.widgets.tray = (element, act) => {
  const { h, picker, droppable, kept } = icm;
  const WORDS = {
    waiting: "Waiting", working: "Working …", done: "Done", check: "Check this", absent: "Not found",
    failed: "Failed", skipped: "Not found, skipped", outdated: "Outdated",
  };
  const TITLES = {
    absent: "The object is probably not in this picture",
    check: "Cut out, but have a look",
    outdated: "The mark or the model has changed since: cut it out again",
  };
  let view = { targets: [], chosen: "", progress: { state: "idle" }, marked: [], ignored: [] };
  let sending = []; // {name, preview, error}

  const grid = h("ul", { class: "icm-grid", "aria-label": "Pictures" });
  const bar = h("progress", { max: 1, value: 0, "aria-label": "Progress of the run" });
  const status = h("p", { class: "icm-note", role: "status" });
  const problem = h("p", { class: "icm-problem", role: "alert" });
  const failures = h("p", { class: "icm-problem icm-failures", role: "status" });
  const ignored = h("p", { class: "icm-hint", role: "status" });
  const others = h("p", { class: "icm-hint", role: "status" });
  const button = (text, onclick, label) =>
    h("button", { type: "button", class: "icm-button", "aria-label": label, onclick }, text);
  const clear = button("Remove all", () => { drop(); act({ action: "clear" }); });
  const undoText = h("span", {});
  const undo = h("p", { class: "icm-row icm-undo", role: "status" }, undoText,
    button("Undo", () => act({ action: "restore" }), "Undo the removal"));
  const marked = h("div", { class: "icm-row" });
  const zone = h("div", { class: "icm-drop icm-drop-flat" },
    h("p", { class: "icm-big" }, "Drop pictures or a folder here"),
    h("div", { class: "icm-row" },
      picker("Choose pictures", { multiple: true, onfiles: add, style: "icm-strong" }),
      picker("Choose a folder", { multiple: true, folder: true, onfiles: add }), clear),
    marked);
  const says = [undo, others, failures, grid, bar, ignored, status, problem];
  element.replaceChildren(h("div", { class: "icm" }, zone, says));
  droppable(element, add);
  icm.pasters.push({ element, wants: () => true, take: add });

  async function add(files) {
    const { pictures, said: leftOut } = icm.pictures(files);
    others.textContent = leftOut;
    const preview = (file) => file.size < 2e7 ? URL.createObjectURL(file) : "";
    const note = (each) => [each, { name: each.name, preview: preview(each.file), error: null }];
    const notes = new Map(pictures.map(note));
    sending = sending.filter((note) => note.error).concat([...notes.values()]);
    draw();
    let since = performance.now();
    await icm.sendAll("target", pictures, { onend: (each, error, said) => {
      const own = notes.get(each);
      own.error = error;
      if (!error) {
        own.sent = true;
        kept.put({ id: said.key, kind: "target", name: each.name, blob: each.file, order: each.order });
      }
      if (performance.now() - since > 1000) { since = performance.now(); act({ action: "refresh" }); }
      draw();
    } });
    act({ action: "refresh" });
  }
  function release(note) { if (note.preview) URL.revokeObjectURL(note.preview); }
  function drop(note) {
    sending.filter((other) => !note || other === note).forEach(release);
    sending = note ? sending.filter((other) => other !== note) : [];
    draw();
  }

  function sendCard(note) {
    const state = note.error ? "failed" : "sending";
    const face = note.preview && !note.error
      ? h("img", { src: note.preview, alt: "" }) : h("span", { class: "icm-blank", "aria-hidden": "true" }, "!");
    return h("li", { class: `icm-card icm-is-${state}` },
      h("div", { class: "icm-face" }, face, h("span", { class: "icm-name" }, note.name),
        h("span", { class: "icm-badge" }, note.error ? "Refused" : "Sending …")),
      note.error ? h("p", { class: "icm-reason" }, note.error) : null,
      note.error ? cross(`Dismiss ${note.name}`, () => drop(note)) : null);
  }
  function cross(label, onclick) {
    return h("button", { type: "button", class: "icm-x", "aria-label": label, title: label, onclick }, "×");
  }
  function targetCard(each) {
    const { key, name, state } = each;
    const chosen = key === view.chosen && each.ready;
    const image = h("img", { src: each.card ?? each.thumbnail, alt: "", class: each.card ? "icm-checker" : "" });
    const face = [image, h("span", { class: "icm-name", title: name }, name),
      h("span", { class: "icm-badge", title: TITLES[state] }, WORDS[state])];
    const choose = () => { act({ action: "choose", key }); icm.reveal("viewer"); };
    const idle = !view.progress.active;
    const missing = idle && ["absent", "skipped"].includes(state);
    const alone = idle && ["outdated", "waiting"].includes(state);
    const small = (text, label, action) => h("button", { type: "button", class: "icm-button icm-again",
      "aria-label": label, onclick: () => act({ action, key }) }, text);
    return h("li", { class: `icm-card icm-is-${state} ${chosen ? "icm-chosen" : ""}`, "data-key": key },
      each.ready
        ? h("button", { type: "button", class: "icm-face", "aria-pressed": String(chosen), onclick: choose }, face)
        : h("div", { class: "icm-face" }, face),
      each.reason ? h("p", { class: "icm-reason" }, each.reason) : null,
      missing ? small("It is there", `It is there: use ${name}`, "overrule") : null,
      idle && state === "failed" ? small("Try again", `Try ${name} again`, "retry") : null,
      alone ? small(state === "waiting" ? "Only this" : "Cut out again", `Cut out ${name} alone`, "retry") : null,
      state === "working" ? null : cross(`Remove ${name}`, () => act({ action: "remove", key })));
  }

  let drawn = ""; // cards are only rebuilt when they differ, so that the focus stays
  function drawCards() {
    const open = sending.filter((note) => !note.sent);
    const state = JSON.stringify([view.targets, view.chosen, view.progress.active, open]);
    if (state === drawn) return;
    drawn = state;
    const label = (node) => node.getAttribute("aria-label") ?? node.textContent;
    const focus = grid.contains(document.activeElement) ? label(document.activeElement) : null;
    grid.replaceChildren(...view.targets.map(targetCard), ...open.map(sendCard));
    if (focus) [...grid.querySelectorAll("button")].find((node) => label(node) === focus)?.focus();
  }
  function draw() {
    drawCards();
    const { progress } = view;
    grid.hidden = !grid.children.length;
    clear.hidden = !grid.children.length || progress.active;
    undo.hidden = !view.removed || progress.active;
    undoText.textContent = view.removed === 1 ? "1 picture removed." : `${view.removed} pictures removed.`;
    marked.hidden = progress.active || !view.marked.length;
    const offer = ({ key, name }) => button(icm.offerWords(name, view.marked.length > 1),
      () => act({ action: "add_photo", key }), `Cut it out of the marked photo too: ${name}`);
    marked.replaceChildren(...view.marked.map(offer));
    failures.textContent = view.failures ?? "";
    ignored.textContent = view.ignored.length
      ? `Ignored until something is marked on it: ${view.ignored.join(", ")}.` : "";
    bar.hidden = !progress.active;
    bar.value = progress.total ? progress.done / progress.total : 0;
    status.textContent = progress.text ?? "";
    problem.textContent = progress.message ?? "";
  }
  icm.refresh = () => act({ action: "refresh" });
  return (next) => {
    const over = view.progress.active && !next.progress.active;
    view = next;
    sending.filter((note) => note.sent).forEach(release);
    sending = sending.filter((note) => !note.sent);
    kept.reconcile("target", view.targets.map(({ key }) => key), view.removed > 0);
    draw();
    if (over && view.targets.some(({ ready }) => ready)) icm.reveal("viewer");
  };
};
