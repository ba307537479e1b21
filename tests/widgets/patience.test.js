import assert from "node:assert/strict";
import { test } from "node:test";
import { load } from "./load.js";

function page() {
  const world = { now: 0, asked: 0, tick: null };
  const icm = load(["patience.js"], {
    performance: { now: () => world.now },
    setInterval: (look) => { world.tick = look; },
    document: { hidden: false },
    addEventListener: () => {},
  });
  Object.assign(icm, { refresh: () => { world.asked += 1; }, restarted: () => false });
  world.pass = (seconds) => { for (let n = 0; n < seconds; n += 1) { world.now += 1000; world.tick(); } };
  return [icm.patience, world];
}

test("a page that nobody touches asks for nothing", () => {
  const [patience, world] = page();
  patience.answered(false);
  world.pass(100);
  assert.equal(world.asked, 0);
});

test("an answer may be that of an earlier event: it is looked after once", () => {
  const [patience, world] = page();
  patience.asked();
  patience.answered(false);
  world.pass(8);
  assert.equal(world.asked, 1);
  patience.answered(false);
  world.pass(100);
  assert.equal(world.asked, 1);
});

test("what is not answered is asked for again, a few times", () => {
  const [patience, world] = page();
  patience.asked();
  world.pass(7);
  assert.equal(world.asked, 0);
  world.pass(1);
  assert.equal(world.asked, 1);
  world.pass(100);
  assert.equal(world.asked, 3);
});

test("a silent run is asked for as long as it goes on", () => {
  const [patience, world] = page();
  patience.asked();
  patience.answered(true);
  world.pass(80);
  assert.equal(world.asked, 10);
  patience.answered(false);
  world.pass(80);
  assert.equal(world.asked, 10);
});

test("what is lost is asked for soon", () => {
  const [patience, world] = page();
  patience.lost();
  world.pass(1);
  assert.equal(world.asked, 1);
  patience.answered(false);
  world.pass(100);
  assert.equal(world.asked, 1);
});
