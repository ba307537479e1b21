// Answers may be lost: a proxy cuts a silent stream, a notebook sleeps. What is waited for is asked for again.
icm.patience = (() => {
  const LONGEST = 8e3, SOON = 1e3, OFTEN = 1e3; // milliseconds: without an answer, after a loss, between looks
  const MOST = 3; // times that something is asked for again, unless a run goes on
  let since = null, active = false, times = 0; // asked for again since a person asked

  function look() {
    if (since === null || document.hidden || icm.restarted()) return;
    if (performance.now() - since < LONGEST) return;
    times += 1;
    since = active || times < MOST ? performance.now() : null;
    icm.refresh?.();
  }
  setInterval(look, OFTEN);
  return {
    // A person has asked for something. What comes then may be the answer to something earlier, so that this
    // is looked after once in any case.
    asked() { since = performance.now(); times = 0; },
    // What is waited for will not come by itself.
    lost() { since = performance.now() - LONGEST + SOON; times = 0; },
    // A state of the server has come; while a run goes on, others follow.
    answered(running) {
      active = running;
      if (running) since = performance.now();
      else if (times > 0) since = null;
    },
  };
})();
addEventListener("click", ({ target }) => { if (target.closest?.("#run, #again, #stop")) icm.patience.asked(); }, true);
