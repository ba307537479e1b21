// What this browser keeps of its uploads, so that one click sends them again after the server was
// restarted. Kept for this tab's secret alone, for an hour at most; without storage, nothing is kept.
icm.kept = (() => {
  const HOUR = 3600e3, SETTLING = 60e3; // milliseconds; an answer may still be on its way
  const NAME = "icm-kept", STORE = "uploads";
  const asked = (request) => new Promise((yes, no) => {
    request.onsuccess = () => yes(request.result);
    request.onerror = () => no(request.error);
  });
  let opening = null;
  function database() {
    opening ??= new Promise((yes, no) => {
      const request = indexedDB.open(NAME, 1);
      request.onupgradeneeded = () => request.result.createObjectStore(STORE, { keyPath: "id" });
      request.onsuccess = () => yes(request.result);
      request.onerror = () => no(request.error);
    });
    return opening;
  }
  // Storage may be off, full or forbidden: the page works without it.
  async function quietly(work, otherwise) {
    try { return await work((await database()).transaction(STORE, "readwrite").objectStore(STORE)); }
    catch { return otherwise; }
  }
  let before = Promise.resolve();
  const inOrder = (work, otherwise) => (before = before.then(() => quietly(work, otherwise)));

  const mine = (thing) => thing.token === icm.token;
  const put = (thing) => {
    const order = thing.order ?? icm.order.next();
    return inOrder((store) => asked(store.put({ ...thing, order, token: icm.token, at: Date.now() })));
  };
  const mark = (id, mask) => inOrder(async (store) => {
    const thing = await asked(store.get(id));
    if (thing) await asked(store.put({ ...thing, mask, at: Date.now() }));
  });
  const remove = (id) => inOrder((store) => asked(store.delete(id)));
  const ofMine = async (store) => (await asked(store.getAll())).filter(mine);
  const all = () => inOrder(async (store) => (await ofMine(store)).sort((a, b) => a.order - b.order), []);
  // Forgets what the server no longer shows, unless a removal may still be undone.
  function reconcile(kind, keys, undoable) {
    if (undoable || icm.restarted()) return;
    inOrder(async (store) => {
      for (const thing of await ofMine(store))
        if (thing.kind === kind && !keys.includes(thing.id) && Date.now() - thing.at > SETTLING) store.delete(thing.id);
    });
  }
  inOrder(async (store) => { // of tabs that are gone
    for (const thing of await asked(store.getAll())) if (Date.now() - thing.at > HOUR) store.delete(thing.id);
  });
  return { put, mark, remove, all, reconcile };
})();
