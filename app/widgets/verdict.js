// What is said of the result that is looked at: whether the object is there, whether to check it,
// and the way to the next one. Presence is not quality, and the words keep the two apart.
icm.judged = (result) => {
  const sure = `${Math.round(100 * result.confidence)} %`;
  if (result.overruled) return "Used, because you said that the object is there.";
  if (!result.present) return `Probably not in this picture (${sure} likely to be there).`;
  if (result.doubt) return `Check it: ${result.doubt} (${sure} likely to be there).`;
  return `Object found (${sure} likely to be there).`;
};

// The key so many places after a key, around the ends; of the first where the key is unknown.
icm.neighbour = (keys, key, step) => {
  const place = keys.indexOf(key);
  return keys.length ? keys[place < 0 ? 0 : (place + step + keys.length) % keys.length] : null;
};

icm.verdict = (act, download) => {
  const { h } = icm;
  let view = { result: null, keys: [] };
  let wanted = null; // chosen here, not yet answered: fast presses go on from there
  const button = (text, label, onclick) =>
    h("button", { type: "button", class: "icm-button", "aria-label": label, title: label, onclick }, text);
  const previous = button("‹", "Previous picture (left arrow)", () => step(-1));
  const next = button("›", "Next picture (right arrow)", () => step(1));
  const place = h("span", { class: "icm-place" });
  const words = h("p", { class: "icm-note", role: "status" });
  const use = button("It is there: use this", "It is there: use this", () => answer("overrule"));
  const again = button("Cut out again", "Cut this picture out again", () => answer("retry"));
  const row = h("div", { class: "icm-row icm-verdict" },
    h("span", { class: "icm-zooms" }, previous, next), place, use, again, download, words);

  const answer = (action) => act({ action, key: view.result.key });
  function step(by) {
    const key = icm.neighbour(view.keys, wanted ?? view.result?.key, by);
    if (!key || view.keys.length < 2) return;
    wanted = key;
    act({ action: "choose", key });
  }
  const VIEWS = "#viewer, #tray .icm-face, body";
  addEventListener("keydown", (event) => {
    const by = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
    if (!by || event.defaultPrevented || event.ctrlKey || event.metaKey || event.altKey || event.shiftKey) return;
    const { target } = event;
    if (target.matches("input, textarea, select, [contenteditable]") || !target.closest(VIEWS)) return;
    if (target.closest("#easel")) return;
    event.preventDefault();
    step(by);
  });
  return {
    row,
    // Returns whether the matte is only advice: shown dimmed until the person decides.
    show(given) {
      view = given;
      const { result, keys, active } = view;
      if (result.key === wanted) wanted = null;
      const dimmed = !result.present && !result.overruled;
      place.textContent = `${keys.indexOf(result.key) + 1} of ${keys.length} · ${result.name}`;
      previous.hidden = next.hidden = keys.length < 2;
      use.hidden = !dimmed || active;
      again.hidden = active;
      const old = result.state === "outdated" ? " Outdated: the mark or the model has changed since." : "";
      const own = result.settled ? " “Cut all out again” leaves it as it is; “Cut out again” drops your strokes." : "";
      words.textContent = icm.judged(result) + old + own;
      return dimmed;
    },
  };
};
