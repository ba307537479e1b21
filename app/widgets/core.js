// What the three widgets of the page share: who the visitor is, uploads, drop zones, small helpers.
window.icm = (() => {
  const SENDING = 2; // uploads at a time

  function visitor() {
    let token = null;
    try { token = sessionStorage.getItem("icm-visitor"); } catch { /* storage is off: a reload starts anew */ }
    if (!/^[0-9a-f]{32}$/.test(token ?? "")) {
      const bytes = crypto.getRandomValues(new Uint8Array(16));
      token = Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
      try { sessionStorage.setItem("icm-visitor", token); } catch { /* as above */ }
    }
    return token;
  }
  const token = visitor();

  function root() {
    const given = window.gradio_config?.root ?? location.href;
    return new URL(given, location.href).pathname.replace(/\/$/, "");
  }
  const url = (path) => `${root()}/icm/${path}`;

  // Makes an element: h("button", {class: "x", onclick: f}, "text", child).
  function h(tag, attributes = {}, ...children) {
    const element = document.createElement(tag);
    for (const [name, value] of Object.entries(attributes)) {
      if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
      else if (value === true) element.setAttribute(name, "");
      else if (value !== false && value != null) element.setAttribute(name, value);
    }
    element.append(...children.flat().filter((child) => child != null));
    return element;
  }

  let greeted;
  const known = new Promise((done) => { greeted = done; }); // the server has heard of this visitor

  const waiting = new Set(); // uploads that are not answered yet
  async function post(path, body, headers = {}) {
    await known;
    const sender = { "X-Icm-Visitor": token, "X-Icm-Model": icm.model };
    const response = await fetch(url(path), { method: "POST", body, headers: { ...sender, ...headers } })
      .catch(() => { throw new Error("the server cannot be reached: is it still running?"); });
    if (response.ok) return response;
    const said = await response.json().catch(() => ({}));
    throw new Error(said.error ?? `the server answered ${response.status}`);
  }
  // Sends a file; `order` places it among those that were sent before, whatever arrives first.
  async function send(kind, body, { name = "", key = "", order = 0 } = {}) {
    const query = new URLSearchParams({ kind, key, order });
    const headers = { "X-Icm-Name": encodeURIComponent(name) };
    const answer = post(`upload?${query}`, body, headers).then((response) => response.json());
    waiting.add(answer);
    const forget = () => waiting.delete(answer);
    answer.then(forget, forget);
    return answer;
  }

  const flushes = [];
  async function settled() { // what was painted last has arrived
    await Promise.all(flushes.map((flush) => flush()));
    await Promise.allSettled([...waiting]);
    return token;
  }

  async function sendAll(kind, files, { onend } = {}) {
    for (const each of files) each.order ??= icm.order.next();
    const queue = [...files];
    const worker = async () => {
      for (let each = queue.shift(); each; each = queue.shift()) {
        try {
          const said = await send(kind, each.file, each);
          onend?.(each, null, said);
        } catch (error) { onend?.(each, error.message); }
      }
    };
    await Promise.all(Array.from({ length: SENDING }, worker));
  }

  const named = (file) => ({ file, name: file.webkitRelativePath || file.name || "pasted.png" });

  async function dropped(transfer) { // files of a drop, those in folders too, with relative paths
    const entries = [...transfer.items].map((item) => item.webkitGetAsEntry?.()).filter(Boolean);
    if (!entries.length) return [...transfer.files].map(named);
    const found = [];
    const walk = async (entry, path) => {
      if (entry.isFile) {
        const file = await new Promise((yes, no) => entry.file(yes, no));
        if (!file.name.startsWith(".")) found.push({ file, name: path + file.name });
        return;
      }
      const reader = entry.createReader();
      for (;;) {
        const part = await new Promise((yes, no) => reader.readEntries(yes, no));
        if (!part.length) break;
        for (const child of part) await walk(child, `${path}${entry.name}/`);
      }
    };
    for (const entry of entries) await walk(entry, "");
    return found;
  }

  const PICTURES = "image/*,.heic,.heif,.tif,.tiff,.webp,.bmp";

  // A button-like label around a file input, which stays reachable by keyboard.
  function picker(text, { multiple = false, folder = false, accept = PICTURES, onfiles, style = "" }) {
    const input = h("input", { type: "file", multiple, accept: folder ? null : accept, webkitdirectory: folder });
    input.addEventListener("change", () => {
      const files = [...input.files].filter((file) => !file.name.startsWith(".")).map(named);
      input.value = "";
      if (files.length) onfiles(files);
    });
    return h("label", { class: `icm-pick ${style}` }, input, h("span", {}, text));
  }

  function droppable(element, onfiles) {
    const over = (event) => { event.preventDefault(); element.classList.add("icm-over"); };
    element.addEventListener("dragenter", over);
    element.addEventListener("dragover", over);
    element.addEventListener("dragleave", () => element.classList.remove("icm-over"));
    element.addEventListener("drop", async (event) => {
      event.preventDefault();
      event.stopPropagation();
      element.classList.remove("icm-over");
      const files = await dropped(event.dataTransfer);
      if (files.length) onfiles(files);
    });
  }
  // A picture dropped beside a zone must not replace the page.
  for (const kind of ["dragover", "drop"]) addEventListener(kind, (event) => event.preventDefault());

  const pasters = []; // {element, wants(), take(files)}
  addEventListener("paste", (event) => {
    const files = [...(event.clipboardData?.files ?? [])].filter((file) => file.type.startsWith("image/"));
    if (!files.length) return;
    const here = pasters.find((paster) => paster.element.contains(document.activeElement));
    const chosen = here ?? pasters.find((paster) => paster.wants()) ?? pasters.at(-1);
    event.preventDefault();
    chosen?.take(files.map(named));
  });

  // A part of the page comes into view, unless its upper part is there already.
  function reveal(id) {
    const element = document.getElementById(id);
    const { top, bottom } = element.getBoundingClientRect();
    if (top >= 0 && (bottom <= innerHeight || top < innerHeight / 4)) return;
    const calm = matchMedia("(prefers-reduced-motion: reduce)").matches;
    element.scrollIntoView({ block: "start", behavior: calm ? "auto" : "smooth" });
  }

  // Equal messages are shown once.
  new MutationObserver(() => {
    for (const toast of document.querySelectorAll(".toast-body")) {
      const seen = new Set();
      for (const item of toast.querySelectorAll(".toast-message-item")) {
        const again = seen.has(item.textContent);
        seen.add(item.textContent);
        item.hidden = again;
        item.style.display = again ? "none" : "";
      }
      const count = toast.querySelector(".toast-count");
      if (count) count.style.display = seen.size > 1 ? "" : "none";
    }
  }).observe(document.documentElement, { childList: true, subtree: true });

  const widgets = {}, redraws = [];
  // The server's process that this page talks to; another one knows nothing of this page.
  let boot = null, lost = false;
  try { boot = sessionStorage.getItem("icm-boot"); } catch { /* a restart shows as an empty page */ }
  function accept(next) {
    boot = next;
    lost = false;
    try { sessionStorage.setItem("icm-boot", next); } catch { /* as above */ }
    redraws.forEach((redraw) => redraw(true));
  }
  function ours(value) {
    if (!value.boot || value.boot === boot) return true;
    if (!boot) { accept(value.boot); return true; }
    if (!lost) { lost = true; icm.offer(value.boot); }
    return false;
  }
  // Called by each Gradio HTML component when it appears.
  function widget(name, element, act, props, watch) {
    const show = widgets[name](element, (data) => {
      if (data.action !== "refresh") icm.patience.asked();
      act({ ...data, model: icm.model });
    });
    const ofServer = (key, value) => key !== "name" && typeof value === "string" && value.startsWith("icm/");
    const address = (key, value) => ofServer(key, value) ? `${root()}/${value}` : value;
    element.firstChild.hidden = true; // until the server has said what there is
    let newest = 0; // answers may overtake one another; an older state never replaces a newer
    const plain = (anew = false) => {
      if (!props.value) return;
      greeted();
      if (!ours(props.value) || !anew && props.value.version < newest) return;
      newest = props.value.version;
      if ("active" in props.value) icm.patience.answered(props.value.active);
      element.firstChild.hidden = false;
      show(JSON.parse(JSON.stringify(props.value), address));
    };
    watch("value", () => plain());
    redraws.push(plain);
    plain();
  }

  function radios(legend, name, options, onchoose) {
    const inputs = {};
    const group = h("fieldset", { class: "icm-radios" }, h("legend", {}, legend),
      options.map(([value, text]) => {
        inputs[value] = h("input", { type: "radio", name, value, onchange: () => onchoose(value) });
        return h("label", {}, inputs[value], h("span", {}, text));
      }));
    return { group, choose: (value) => { if (inputs[value]) inputs[value].checked = true; } };
  }

  // The model chosen on this page; the server knows a visitor from the first upload on.
  return {
    model: "", token, url, h, post, send, sendAll, settled, flushes, picker, droppable, pasters, widget, widgets,
    radios, reveal, accept, restarted: () => lost,
  };
})();
