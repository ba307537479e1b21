// The panel of downloads: which files, in what format and size. The server makes them so, for one picture and
// for the zip; the same options as of `icm batch`.
icm.exporting = (url, changed) => {
  const { h, radios } = icm;
  const PAUSE = 250; // milliseconds after the last key in a number
  const FILES = { cutout: "Cut-out", alpha: "Alpha", composite: "On the background" };
  const says = h("span", { class: "icm-note", role: "status" });
  const files = {};
  const boxes = Object.entries(FILES).map(([kind, text]) => {
    files[kind] = h("input", { type: "checkbox", onchange: send });
    return h("label", { class: "icm-check" }, files[kind], h("span", {}, text));
  });
  const format = radios("Format", "icm-format", [["png", "PNG"], ["webp", "WebP"], ["jpeg", "JPEG"]], send);
  const bits = radios("Bits per channel", "icm-bits", [["8", "8 bits"], ["16", "16 bits"]], send);
  const SIZES = [["whole", "Whole picture"], ["trim", "Cut to the object"], ["canvas", "Fixed canvas"]];
  const size = radios("Size", "icm-size", SIZES, send);
  const number = (label, value, most) => h("input",
    { type: "number", value, min: label === "Margin" ? 0 : 1, max: most, step: 1, "aria-label": label, oninput: soon });
  const margin = number("Margin", 0, 4096), quality = number("Quality", 90, 100);
  const width = number("Canvas width", 1200, 16383), height = number("Canvas height", 1200, 16383);
  const named = (text, ...inputs) => h("label", { class: "icm-number" }, h("span", {}, text), ...inputs);
  const marginBox = named("Margin (pixels)", margin), qualityBox = named("Quality (1 to 100)", quality);
  const canvasBox = h("span", { class: "icm-number" }, h("span", {}, "Width × height"), width, height);
  const box = h("details", { class: "icm-panel" }, h("summary", {}, "Files to download"),
    h("div", { class: "icm-row" }, boxes), h("div", { class: "icm-row" }, format.group, bits.group, size.group),
    h("div", { class: "icm-row" }, marginBox, canvasBox, qualityBox, says));

  const chosen = (group) => group.querySelector("input:checked")?.value;
  function values() {
    const jpeg = chosen(format.group) === "jpeg", frame = chosen(size.group);
    const kinds = Object.keys(FILES).filter((kind) => jpeg ? kind === "composite" : files[kind].checked);
    return {
      kinds, format: chosen(format.group), quality: +quality.value,
      bits: chosen(format.group) === "png" ? +chosen(bits.group) : 8,
      trim: frame === "trim", margin: frame === "whole" ? 0 : +margin.value,
      canvas: frame === "canvas" ? [+width.value, +height.value] : null,
    };
  }
  function layout() {
    const kind = chosen(format.group), frame = chosen(size.group);
    for (const [name, input] of Object.entries(files)) input.disabled = kind === "jpeg" && name !== "composite";
    bits.group.hidden = kind !== "png";
    qualityBox.hidden = kind === "png";
    marginBox.hidden = frame === "whole";
    canvasBox.hidden = frame !== "canvas";
  }
  let later = 0, busy = 0, newest = 0; // version of the state that shows what was chosen last
  function soon() { clearTimeout(later); busy += 1; later = setTimeout(() => { busy = 0; send(); }, PAUSE); }
  async function send() {
    layout();
    says.textContent = "";
    const wanted = values();
    if (!wanted.kinds.length) { says.textContent = "Choose at least one file."; return; }
    busy += 1;
    try {
      const body = JSON.stringify(wanted), headers = { "Content-Type": "application/json" };
      const answer = await fetch(icm.url(url()), { method: "POST", body, headers })
        .catch(() => { throw new Error("the server cannot be reached: is it still running?"); });
      const said = await answer.json().catch(() => ({}));
      if (!answer.ok) throw new Error(said.error ?? `the server answered ${answer.status}`);
      newest = Math.max(newest, said.version);
      if (wanted.format === "jpeg") says.textContent = "A JPEG is on the background; on white, where none is chosen.";
      changed();
    } catch (error) { says.textContent = error.message; }
    busy = Math.max(0, busy - 1);
  }
  // Shows what the server knows, unless something is being chosen.
  function open(wanted, version) {
    const { activeElement } = document;
    const typing = box.contains(activeElement) && activeElement.type === "number";
    if (!wanted || busy || typing || version < newest) return;
    for (const [kind, input] of Object.entries(files)) input.checked = wanted.kinds.includes(kind);
    format.choose(wanted.format);
    bits.choose(String(wanted.bits));
    size.choose(wanted.canvas ? "canvas" : wanted.trim || wanted.margin ? "trim" : "whole");
    margin.value = wanted.margin;
    quality.value = wanted.quality;
    if (wanted.canvas) [width.value, height.value] = wanted.canvas;
    layout();
  }
  return { box, open };
};
// A button that puts the cut-out that is looked at onto the clipboard, as a picture with transparency.
icm.copier = (source, problem) => {
  const button = icm.h("button", { type: "button", class: "icm-button", onclick: copy }, "Copy cut-out");
  button.hidden = !navigator.clipboard?.write || !window.ClipboardItem; // neither without HTTPS nor in old browsers
  async function copy() {
    problem.textContent = "";
    try {
      const content = fetch(source()).then((answer) => {
        if (!answer.ok) throw new Error("the cut-out is no longer here: reload the page");
        return answer.blob();
      });
      await navigator.clipboard.write([new ClipboardItem({ "image/png": content })]);
      button.textContent = "Copied";
      setTimeout(() => { button.textContent = "Copy cut-out"; }, 2000);
    } catch (error) { problem.textContent = `It could not be copied: ${error.message}`; }
  }
  return button;
};
