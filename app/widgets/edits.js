// Sends what is changed on results: one change after the other; the page is asked for its state then.
icm.edits = (changed) => {
  async function post(path, body) {
    const headers = { "Content-Type": "application/json" };
    const answer = await fetch(icm.url(`${icm.token}/${path}`), { method: "POST", body: JSON.stringify(body), headers })
      .catch(() => { throw new Error("the server cannot be reached: is it still running?"); });
    const said = await answer.json().catch(() => ({}));
    if (!answer.ok) throw new Error(said.error ?? `the server answered ${answer.status}`);
    changed();
    return said;
  }
  const newest = {}; // version of each result that shows its last edit
  let last = Promise.resolve();
  function inTurn(path, body) {
    const answer = last.then(() => post(path, body));
    last = answer.catch(() => {});
    return answer;
  }
  return {
    async send(key, edit) { newest[key] = (await inTurn(`${key}/edit`, edit)).version; },
    old: ({ key, version }) => version < newest[key], // a state that was on its way when an edit was answered
    all: (adjustment) => inTurn("adjust", adjustment),
    reference: (key) => inTurn(`${key}/reference`, {}),
  };
};
