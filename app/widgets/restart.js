// After a restart of the server: says so, and sends again what this browser has kept.
icm.offer = async (boot) => {
  const { h, send, sendAll, kept } = icm;
  const things = await kept.all();
  const photos = things.filter(({ kind }) => kind !== "target");
  const targets = things.filter(({ kind }) => kind === "target");
  const words = h("p", {}, icm.restartWords(photos, targets));
  const button = (text, onclick, style = "") =>
    h("button", { type: "button", class: `icm-button ${style}`, onclick }, text);
  const again = button("Send them again", resend, "icm-strong");
  const afresh = button(things.length ? "Start afresh" : "Continue", forget);
  const banner = h("section", { class: "icm icm-banner", role: "alert", "aria-label": "The server was restarted" },
    words, h("div", { class: "icm-row" }, things.length ? again : null, afresh));
  document.body.prepend(banner);
  scrollTo({ top: 0 });

  async function resend() {
    again.disabled = afresh.disabled = true;
    again.textContent = "Sending …";
    const refused = [];
    for (const { id, kind, name, blob, mask, order } of photos) {
      try {
        const { key } = await send(kind, blob, { name });
        await kept.put({ id: key, kind, name, blob, mask, order });
        if (mask) await send("painting", mask, { key });
        await kept.remove(id);
      } catch (error) { refused.push(`${name}: ${error.message}`); }
    }
    const files = targets.map(({ id, name, blob, order }) => ({ id, name, file: blob, order }));
    await sendAll("target", files, { onend: (each, error, said) => {
      if (error) { refused.push(`${each.name}: ${error}`); return; }
      kept.put({ id: said.key, kind: "target", name: each.name, blob: each.file, order: each.order });
      kept.remove(each.id);
    } });
    done(refused);
  }
  async function forget() {
    await Promise.all(things.map(({ id }) => kept.remove(id)));
    done([]);
  }
  function done(refused) {
    if (refused.length) {
      words.textContent = `Not taken again: ${refused.join("; ")}`;
      again.remove();
      afresh.disabled = false;
      afresh.textContent = "Close";
      afresh.onclick = () => banner.remove();
    } else banner.remove();
    icm.accept(boot);
    icm.refresh?.();
  }
};

// The sentence for a person, from what was kept.
icm.restartWords = (photos, targets) => {
  const many = (count, one, more) => count === 1 ? one : `${count} ${more}`;
  const parts = [];
  if (photos.length) {
    const marked = photos.some(({ mask }) => mask) ? " with what you marked" : "";
    parts.push(many(photos.length, "your photo of the object", "photos of the object") + marked);
  }
  if (targets.length) parts.push(many(targets.length, "1 picture", "pictures"));
  const start = "The server was restarted, and nothing is left there of this page.";
  return parts.length ? `${start} Your browser still has ${parts.join(" and ")}.` : start;
};
