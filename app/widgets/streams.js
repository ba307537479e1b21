// Gradio (6.31) takes its stream of answers for open until the server says that it closes: after one that was cut
// (by a proxy, a change of network, a notebook that slept), no other one is opened, and the page stands still.
// So each stream ends with those words, however it ends, and what is waited for is asked for soon.
(() => {
  const STREAM = /\/gradio_api\/queue\/data\/?$/;
  const WORDS = '"close_stream"', LAST = new TextEncoder().encode('data: {"msg":"close_stream"}\n\n');
  const plain = window.fetch.bind(window);

  // What a response says, and the last words if it ended without them.
  function whole(body, signal) {
    const reader = body.getReader(), decoder = new TextDecoder();
    let tail = "", closed = false;
    return new ReadableStream({
      async pull(controller) {
        try {
          const { done, value } = await reader.read();
          if (!done) {
            tail = tail.slice(-WORDS.length) + decoder.decode(value, { stream: true });
            closed ||= tail.includes(WORDS);
            controller.enqueue(value);
            return;
          }
        } catch (error) {
          if (signal.aborted) { controller.error(error); return; }
        }
        if (!closed && !signal.aborted) { controller.enqueue(LAST); icm.patience.cut(); }
        controller.close();
      },
      cancel: (reason) => reader.cancel(reason),
    });
  }

  async function stream(request) {
    try {
      const { ok, body, headers } = await plain(request);
      if (ok) return new Response(whole(body, request.signal), { headers });
    } catch (error) {
      if (request.signal.aborted) throw error;
    }
    icm.patience.cut();
    return new Response(LAST, { headers: { "Content-Type": "text/event-stream" } });
  }

  window.fetch = (input, options) => (
    input instanceof Request && STREAM.test(new URL(input.url).pathname) ? stream(input) : plain(input, options));
})();
