import assert from "node:assert/strict";
import { test } from "node:test";
import { load } from "./load.js";

const STREAM = "http://page/sub/gradio_api/queue/data?session_hash=a";
const JOIN = "http://page/sub/gradio_api/queue/join?";
const sse = (message) => `data: ${JSON.stringify(message)}\n\n`;
const CLOSES = sse({ msg: "close_stream" });
const done = (id) => sse({ msg: "process_completed", event_id: id, output: {} });

// A page whose server answers with `answer`; its clock goes when it is told to.
function page(answer) {
  const world = { lost: 0, asked: [], timers: [] };
  const given = {
    fetch: async (...asked) => { world.asked.push(asked); return answer(...asked); },
    setTimeout: (later) => { world.timers.push(later); },
    location: { href: "http://page/sub/" },
    Request, Response, ReadableStream, TextEncoder, TextDecoder, URL,
    icm: { patience: { lost: () => { world.lost += 1; } } },
  };
  load(["streams.js"], given, (context) => { world.fetch = context.fetch; });
  world.pass = () => { for (const later of world.timers.splice(0)) later(); };
  world.join = async () => {
    await world.fetch(JOIN, { method: "POST" });
    await new Promise((settled) => { setImmediate(settled); });
  };
  world.text = async (options) => (await world.fetch(new Request(STREAM, options))).text();
  return world;
}

const saying = (...parts) => new Response(new ReadableStream({
  start(controller) {
    for (const part of parts) controller.enqueue(new TextEncoder().encode(part));
    controller.close();
  },
}));
const joined = (id) => new Response(JSON.stringify({ event_id: id }));
const answering = (stream) => (asked) => (asked === JOIN ? joined("one") : stream(asked));

test("a stream that says that it closes is passed on as it is", async () => {
  const [head, tail] = [CLOSES.slice(0, 20), CLOSES.slice(20)];
  const world = page(answering(() => saying(done("one"), head, tail)));
  await world.join();
  assert.equal(await world.text(), done("one") + CLOSES);
  world.pass();
  assert.equal(world.lost, 0);
});

test("a comment in a stream is passed on", async () => {
  const world = page(answering(() => saying(": still here\n\n", CLOSES)));
  assert.equal(await world.text(), ": still here\n\n" + CLOSES);
});

test("a stream that just ends says that it closes, and what it did not answer is lost", async () => {
  const world = page(answering(() => saying(sse({ msg: "heartbeat" }))));
  await world.join();
  assert.equal(await world.text(), sse({ msg: "heartbeat" }) + CLOSES);
  world.pass();
  world.pass();
  assert.equal(world.lost, 1);
});

test("an event that joins a stream which closes is lost, unless another one opens", async () => {
  const world = page(answering(() => saying(CLOSES)));
  await world.text();
  await world.join();
  world.pass();
  assert.equal(world.lost, 1);
  let give;
  const waits = page(answering(() => new Response(new ReadableStream({ start(controller) { give = controller; } }))));
  await waits.join();
  const text = waits.text();
  waits.pass();
  assert.equal(waits.lost, 0);
  await new Promise((settled) => { setImmediate(settled); });
  give.enqueue(new TextEncoder().encode(done("one") + CLOSES));
  give.close();
  await text;
  waits.pass();
  assert.equal(waits.lost, 0);
});

test("no stream at all, or a refusal, is a stream that closes", async () => {
  for (const answer of [() => { throw new TypeError("network error"); }, () => new Response("", { status: 502 })]) {
    const world = page(answering(answer));
    await world.join();
    assert.equal(await world.text(), CLOSES);
    world.pass();
    assert.equal(world.lost, 1);
  }
});

test("a network that fails half-way ends the stream, not the page", async () => {
  let sent = false;
  const world = page(answering(() => new Response(new ReadableStream({
    pull(controller) {
      if (sent) { controller.error(new TypeError("network error")); return; }
      sent = true;
      controller.enqueue(new TextEncoder().encode(sse({ msg: "heartbeat" })));
    },
  }))));
  assert.equal(await world.text(), sse({ msg: "heartbeat" }) + CLOSES);
  world.pass();
  assert.equal(world.lost, 0);
});

test("a stream that the page itself gives up stays given up", async () => {
  const giving = new AbortController();
  const world = page(() => { giving.abort(); throw giving.signal.reason; });
  await assert.rejects(world.text({ signal: giving.signal }), { name: "AbortError" });
  const given = page(() => saying(sse({ msg: "heartbeat" }), sse({ msg: "heartbeat" })));
  const response = await given.fetch(new Request(STREAM));
  await response.body.cancel();
  assert.equal(given.timers.length, 1);
});

test("everything else is fetched as before", async () => {
  const world = page(() => saying("other"));
  const options = { method: "POST" };
  for (const [input, given] of [["/queue", options], [new URL("http://page/data"), undefined], [STREAM, options]]) {
    assert.equal(await (await world.fetch(input, given)).text(), "other");
    assert.deepEqual(world.asked.pop(), [input, given]);
  }
  world.pass();
  assert.equal(world.lost, 0);
});
