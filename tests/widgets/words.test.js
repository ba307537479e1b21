import assert from "node:assert/strict";
import { test } from "node:test";
import { load } from "./load.js";

const icm = load(["verdict.js", "restart.js"]);
const result = { confidence: 0.96, present: true, overruled: false, doubt: "" };

test("confidence is said of presence, never of quality", () => {
  assert.equal(icm.judged(result), "Object found (96 % likely to be there).");
  const absent = icm.judged({ ...result, present: false, confidence: 0.1 });
  assert.equal(absent, "Probably not in this picture (10 % likely to be there).");
  assert.match(icm.judged({ ...result, doubt: "much of its edge is unclear" }), /Check it: much of its edge/);
  const nothing = icm.judged({ ...result, confidence: 0.16, doubt: "nearly nothing was found" });
  assert.equal(nothing, "Check it: nearly nothing was found (16 % likely to be there).");
  assert.match(icm.judged({ ...result, present: false, overruled: true }), /because you said/);
});

test("next and previous go around, and begin at the first where the place is lost", () => {
  const keys = ["a", "b", "c"];
  assert.equal(icm.neighbour(keys, "c", 1), "a");
  assert.equal(icm.neighbour(keys, "a", -1), "c");
  assert.equal(icm.neighbour(keys, "gone", 1), "a");
  assert.equal(icm.neighbour([], "a", 1), null);
});

test("after a restart the page says what the browser still has", () => {
  const photos = [{ mask: {} }], targets = Array(6).fill({});
  assert.match(icm.restartWords(photos, targets), /still has your photo of the object with what you marked and 6 pict/);
  assert.match(icm.restartWords([], [{}]), /still has 1 picture\./);
  assert.doesNotMatch(icm.restartWords([], []), /still has/);
});
