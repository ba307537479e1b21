import assert from "node:assert/strict";
import { test } from "node:test";
import { load, plain } from "./load.js";

const { clicks } = load(["clicks.js"]);

test("a short drag is a click, a longer one a box from corner to corner", () => {
  assert.equal(clicks.boxed([10, 10], [13, 40], 1), null);
  assert.deepEqual(plain(clicks.boxed([50, 60], [10, 20], 1)), [10, 20, 50, 60]);
  assert.equal(clicks.boxed([50, 60], [40, 50], 2), null); // zoomed out: 5 screen pixels
});

test("places are sent as shares and never lie outside of the photo", () => {
  const marks = { inside: [[100, 50]], outside: [[-5, 400]], box: [0, -2, 210, 100] };
  assert.deepEqual(plain(clicks.shares(marks, 200, 100)), {
    inside: [[0.5, 0.5]], outside: [[0, 1]], box: [0, 0, 1, 1],
  });
});

test("adding leaves what was there, and only the object's marks can grow", () => {
  const one = clicks.added(clicks.NONE, "outside", [1, 2]);
  assert.equal(clicks.NONE.outside.length, 0);
  assert.equal(clicks.some(one), false);
  assert.equal(clicks.some(clicks.added(one, "inside", [3, 4])), true);
  assert.equal(clicks.some({ ...one, box: [0, 0, 9, 9] }), true);
});
