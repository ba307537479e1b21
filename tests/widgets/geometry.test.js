import assert from "node:assert/strict";
import { test } from "node:test";
import { load } from "./load.js";

const { geometry } = load(["stage.js"]);
const frame = { width: 600, height: 400 };
const picture = { width: 1200, height: 1000 };
const close = (found, wanted) => assert.ok(Math.abs(found - wanted) < 1e-9, `${found} is not ${wanted}`);

test("a picture that fits is whole and centred", () => {
  const view = geometry.fitted(picture, frame);
  close(view.scale, 0.4);
  close(view.x, 60);
  close(view.y, 0);
});

test("a small picture is enlarged no more than allowed", () => {
  close(geometry.fitted({ width: 10, height: 10 }, frame, 3).scale, 3);
});

test("zooming keeps the pixel under the cursor", () => {
  const before = geometry.fitted(picture, frame), at = { x: 250, y: 130 };
  let view = before;
  for (const scale of [1, 2, 0.9]) view = geometry.zoomed(view, scale, at, picture, frame);
  close((at.x - view.x) / view.scale, (at.x - before.x) / before.scale);
  close((at.y - view.y) / view.scale, (at.y - before.y) / before.scale);
});

test("no gap opens at a side while the picture is larger than the frame", () => {
  const view = geometry.zoomed(geometry.fitted(picture, frame), 1, { x: 0, y: 0 }, picture, frame);
  for (const [dx, dy] of [[5000, 5000], [-5000, -5000]]) {
    const { x, y, scale } = geometry.moved(view, dx, dy, picture, frame);
    assert.ok(x <= 0 && x + picture.width * scale >= frame.width);
    assert.ok(y <= 0 && y + picture.height * scale >= frame.height);
  }
});

test("a picture smaller than the frame stays inside of it", () => {
  const view = { scale: 0.2, x: 0, y: 0 };
  const { x, y } = geometry.moved(view, 5000, -5000, picture, frame);
  close(x, frame.width - 240);
  close(y, 0);
});

test("two fingers zoom by how far they move apart, about their middle", () => {
  const { times, from, to } = geometry.pinch([{ x: 0, y: 0 }, { x: 10, y: 0 }], [{ x: 0, y: 5 }, { x: 30, y: 5 }]);
  close(times, 3);
  close(from.x, 5);
  close(to.x, 15);
  close(to.y, 5);
});
