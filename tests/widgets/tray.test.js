import assert from "node:assert/strict";
import { test } from "node:test";
import { load, plain } from "./load.js";

const icm = load(["tray.js"], { icm: { widgets: {} } });
const files = (...names) => names.map((name) => ({ name, file: { type: name.endsWith("png") ? "image/png" : "" } }));

test("what is no picture is left out and named", () => {
  const { pictures, said } = icm.pictures(files("a.png", "notes.txt", "b.HEIC"));
  assert.deepEqual(plain(pictures.map(({ name }) => name)), ["a.png", "b.HEIC"]);
  assert.equal(said, "Left out, no pictures: notes.txt.");
  assert.match(icm.pictures(files("a", "b", "c", "d", "e.png")).said, /: a, b, c and 1 more\.$/);
  assert.equal(icm.pictures(files("a.png")).said, "");
});

test("one file alone is sent, so that the server says what is wrong with it", () => {
  const { pictures, said } = icm.pictures(files("notes.txt"));
  assert.equal(pictures.length, 1);
  assert.equal(said, "");
});

test("several marked photos are offered by their names", () => {
  assert.equal(icm.offerWords("a.png", false), "Cut it out of the marked photo too");
  assert.equal(icm.offerWords("a.png", true), "Cut it out of a.png too");
});
