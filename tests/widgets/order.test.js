import assert from "node:assert/strict";
import { test } from "node:test";
import { load } from "./load.js";

test("files that are chosen within a millisecond keep their order", () => {
  let now = 1795301000123;
  const { order } = load(["order.js"], { Date: { now: () => now } });
  const places = Array.from({ length: 500 }, order.next);
  assert.equal(new Set(places.map(String)).size, 500);
  assert.deepEqual(places, [...places].sort((a, b) => a - b));
  now += 10_000;
  assert.equal(order.next(), now); // a page that was reloaded goes on after these
});
