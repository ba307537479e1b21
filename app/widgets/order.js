// The place of a file among all that were chosen in this browser: a later one has a greater number.
// Whole numbers only: milliseconds since 1970 leave a float no room for thousandths.
icm.order = (() => {
  let latest = 0;
  return { next: () => (latest = Math.max(latest + 1, Date.now())) };
})();
