// Gradio (6.31) takes its stream of answers for open until the server says that it closes: after one that was cut
// (by a proxy, a change of network, a notebook that slept), no other one is opened, and the page stands still.
// So each stream ends with those words, however it ends; and what is waited for without a stream is asked for again.
(() => {
  const STREAM = /\/gradio_api\/queue\/data\/?$/, JOIN = /\/gradio_api\/queue\/join\/?$/;
  const LAST = new TextEncoder().encode('data: {"msg":"close_stream"}\n\n');
  const TURN = 500; // milliseconds that Gradio has for its next stream
  const plain = window.fetch.bind(window);
  const waiting = new Set(); // events that are not answered
  let open = 0;

  function look() {
    if (open || !waiting.size) return;
    waiting.clear();
    icm.patience.lost();
  }
  // Notes that a stream is there; what it gives back notes, once, that it is not any more.
  function opened() {
    let over = false;
    open += 1;
    return () => {
      if (over) return;
      over = true;
      open -= 1;
      setTimeout(look, TURN);
    };
  }

  // Reads along in a stream; true when it says that it closes.
  function reader() {
    const decoder = new TextDecoder();
    let text = "", closes = false;
    return (bytes) => {
      const messages = (text + decoder.decode(bytes, { stream: true })).split("\n\n");
      text = messages.pop();
      for (const message of messages) {
        if (!message.startsWith("data:")) continue; // a comment, as proxies send them
        const { msg, event_id } = JSON.parse(message.slice(message.indexOf("{")));
        if (msg === "process_completed") waiting.delete(event_id);
        closes ||= msg === "close_stream";
      }
      return closes;
    };
  }

  // What a response says, and the last words if it ended without them.
  function whole(body, signal, ended) {
    const source = body.getReader(), read = reader();
    let closes = false, given = false;
    return new ReadableStream({
      async pull(controller) {
        try {
          const { done, value } = await source.read();
          if (!done) {
            closes = read(value);
            controller.enqueue(value);
            return;
          }
        } catch (error) {
          if (signal.aborted) {
            ended();
            controller.error(error);
            return;
          }
        }
        ended();
        if (given) return;
        if (!closes && !signal.aborted) controller.enqueue(LAST);
        controller.close();
      },
      cancel(reason) {
        given = true;
        ended();
        return source.cancel(reason);
      },
    });
  }

  async function stream(request) {
    const ended = opened();
    try {
      const { ok, body, headers } = await plain(request);
      if (ok) return new Response(whole(body, request.signal, ended), { headers });
    } catch (error) {
      if (request.signal.aborted) {
        ended();
        throw error;
      }
    }
    ended();
    return new Response(LAST, { headers: { "Content-Type": "text/event-stream" } });
  }

  async function join(input, options) {
    const response = await plain(input, options);
    if (response.ok) {
      response.clone().json().then(({ event_id }) => {
        waiting.add(event_id);
        setTimeout(look, TURN);
      }).catch(() => {}); // not Gradio's answer
    }
    return response;
  }

  window.fetch = (input, options) => {
    const { pathname } = new URL(input instanceof Request ? input.url : input, window.location.href);
    if (STREAM.test(pathname) && input instanceof Request) return stream(input);
    return JOIN.test(pathname) ? join(input, options) : plain(input, options);
  };
})();
