"""A model hub on loopback that drops connections, truncates, and lies about hashes."""

from __future__ import annotations

import hashlib
import threading
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

COMMIT = "c" * 40


@dataclass
class Hub:
    """What the server holds and how it misbehaves.

    Attributes:
        files: content by `repository/path`.
        drops: how many downloads of a path break off half-way, before one succeeds.
        truncated: paths whose downloads end early, as if they were complete.
        lies: paths whose announced SHA-256 is not that of the content.
        gated: repositories whose licence must be accepted first.
        stalls: paths whose downloads stop half-way until `released` is set.
        stalled: set when a download has stopped so.
        released: lets stopped downloads end.
        log: `METHOD repository/path from` of each request.
    """

    files: dict[str, bytes] = field(default_factory=dict)
    drops: dict[str, int] = field(default_factory=dict)
    truncated: set[str] = field(default_factory=set)
    lies: set[str] = field(default_factory=set)
    gated: set[str] = field(default_factory=set)
    stalls: set[str] = field(default_factory=set)
    stalled: threading.Event = field(default_factory=threading.Event)
    released: threading.Event = field(default_factory=threading.Event)
    log: list[str] = field(default_factory=list)


@contextmanager
def serve(hub: Hub):
    """Serves the hub; yields its address."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, *_):
            pass

        def do_HEAD(self):
            self._answer(body=False)

        def do_GET(self):
            self._answer(body=True)

        def _answer(self, *, body: bool) -> None:
            repository, _, rest = self.path.lstrip("/").partition("/resolve/")
            revision, _, path = rest.partition("/")
            key = f"{repository}/{path}"
            start = int(self.headers.get("Range", "bytes=0-")[6:].split("-")[0])
            hub.log.append(f"{self.command} {key} {start}")
            if repository in hub.gated:
                return self._refuse(403, "GatedRepo")
            if not any(name.startswith(f"{repository}/") for name in hub.files):
                return self._refuse(401, "RepoNotFound")
            if revision not in ("main", COMMIT):
                return self._refuse(404, "RevisionNotFound")
            if key not in hub.files:
                return self._refuse(404, "EntryNotFound")
            content = hub.files[key]
            digest = hashlib.sha256(content + (b"!" if key in hub.lies else b"")).hexdigest()
            if key in hub.truncated and body:
                content = content[: len(content) // 2]
            part = content[start:]
            self.send_response(206 if start else 200)
            self.send_header("ETag", f'"{digest}"')
            self.send_header("X-Linked-Etag", f'"{digest}"')
            self.send_header("X-Linked-Size", str(len(hub.files[key])))
            self.send_header("X-Repo-Commit", COMMIT)
            self.send_header("Content-Length", str(len(part)))
            if start:
                self.send_header(
                    "Content-Range", f"bytes {start}-{len(content) - 1}/{len(content)}"
                )
            self.end_headers()
            if not body:
                return None
            if hub.drops.get(key, 0) > 0:
                hub.drops[key] -= 1
                self.wfile.write(part[: len(part) // 2])
                self.wfile.flush()
                self.close_connection = True
                self.connection.close()
                return None
            if key in hub.stalls:
                self.wfile.write(part[: len(part) // 2])
                self.wfile.flush()
                hub.stalled.set()
                hub.released.wait()
                self.close_connection = True
                return None
            self.wfile.write(part)
            return None

        def _refuse(self, status: int, code: str) -> None:
            self.send_response(status)
            self.send_header("X-Error-Code", code)
            self.send_header("X-Error-Message", code)
            self.send_header("Content-Length", "0")
            self.end_headers()

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        hub.released.set()
        server.shutdown()
        server.server_close()
        thread.join()
