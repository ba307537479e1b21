import assert from "node:assert/strict";
import { test } from "node:test";
import { load } from "./load.js";

const CLOSES = 'data: {"msg":"close_stream"}\n\n';
const STREAM = "http://page/sub/gradio_api/queue/data?session_hash=a";

// A page whose server answers with `answer`.
function page(answer) {
  const world = { cut: 0, asked: [] };
  const given = {
    fetch: async (...asked) => { world.asked.push(asked); return answer(...asked); },
    Request, Response, ReadableStream, TextEncoder, TextDecoder, URL,
    icm: { patience: { cut: () => { world.cut += 1; } } },
  };
  load(["streams.js"], given, (context) => { world.fetch = context.fetch; });
  return world;
}

const saying = (...parts) => new Response(new ReadableStream({
  start(controller) {
    for (const part of parts) controller.enqueue(new TextEncoder().encode(part));
    controller.close();
  },
}));

test("a stream that says that it closes is passed on as it is", async () => {
  const world = page(() => saying('data: {"msg":"process_starts"}\n\n', 'data: {"msg":"close_', 'stream"}\n\n'));
  const text = await (await world.fetch(new Request(STREAM))).text();
  assert.equal(text, `data: {"msg":"process_starts"}\n\n${CLOSES}`);
  assert.equal(world.cut, 0);
});

test("a stream that just ends says that it closes", async () => {
  const world = page(() => saying('data: {"msg":"heartbeat"}\n\n'));
  const text = await (await world.fetch(new Request(STREAM))).text();
  assert.equal(text, `data: {"msg":"heartbeat"}\n\n${CLOSES}`);
  assert.equal(world.cut, 1);
});

test("no stream at all, or a refusal, says so too", async () => {
  for (const answer of [() => { throw new TypeError("network error"); }, () => new Response("", { status: 502 })]) {
    const world = page(answer);
    assert.equal(await (await world.fetch(new Request(STREAM))).text(), CLOSES);
    assert.equal(world.cut, 1);
  }
});

test("a network that fails half-way ends the stream, not the page", async () => {
  let sent = false;
  const world = page(() => new Response(new ReadableStream({
    pull(controller) {
      if (sent) { controller.error(new TypeError("network error")); return; }
      sent = true;
      controller.enqueue(new TextEncoder().encode("data: 1\n\n"));
    },
  })));
  assert.equal(await (await world.fetch(new Request(STREAM))).text(), `data: 1\n\n${CLOSES}`);
  assert.equal(world.cut, 1);
});

test("a stream that the page itself gives up stays given up", async () => {
  const giving = new AbortController();
  const world = page(() => { giving.abort(); throw giving.signal.reason; });
  await assert.rejects(world.fetch(new Request(STREAM, { signal: giving.signal })), { name: "AbortError" });
  assert.equal(world.cut, 0);
});

test("everything else is fetched as before", async () => {
  const world = page(() => saying("other"));
  const options = { method: "POST" };
  assert.equal(await (await world.fetch("http://page/gradio_api/queue/data", options)).text(), "other");
  assert.equal(await (await world.fetch(new Request("http://page/gradio_api/queue/join"))).text(), "other");
  assert.deepEqual(world.asked[0], ["http://page/gradio_api/queue/data", options]);
  assert.equal(world.cut, 0);
});
