"""Package indexes on the loopback interface: empty wheels that depend as the real ones do."""

from __future__ import annotations

import hashlib
import io
import threading
import zipfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import PurePosixPath

from packaging.utils import canonicalize_name


@dataclass(frozen=True)
class Package:
    """What an index offers of a name."""

    version: str
    requires: tuple[str, ...] = ()


@dataclass
class Indexes:
    """Several indexes, each a folder of `url`, and what was taken from which."""

    url: str
    taken: list[tuple[str, str]] = field(default_factory=list)


def _wheel(name: str, package: Package) -> tuple[str, bytes]:
    stem = f"{name.replace('-', '_')}-{package.version}"
    lines = ["Metadata-Version: 2.1", f"Name: {name}", f"Version: {package.version}"]
    lines += [f"Requires-Dist: {each}" for each in package.requires]
    files = {
        "METADATA": "\n".join(lines) + "\n",
        "WHEEL": "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        for file, text in files.items():
            archive.writestr(zipfile.ZipInfo(f"{stem}.dist-info/{file}"), text)
        record = "".join(f"{stem}.dist-info/{file},,\n" for file in (*files, "RECORD"))
        archive.writestr(zipfile.ZipInfo(f"{stem}.dist-info/RECORD"), record)
    return f"{stem}-py3-none-any.whl", content.getvalue()


@contextmanager
def served(indexes: Mapping[str, Mapping[str, Package]]) -> Iterator[Indexes]:
    """Serves indexes by name; of each name an index has one version or none."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            _, index, name, *file = PurePosixPath(self.path).parts
            package = indexes[index].get(canonicalize_name(name))
            if package is None:
                self.send_error(404)
                return
            wheel, content = _wheel(canonicalize_name(name), package)
            if file:
                result.taken.append((index, canonicalize_name(name)))
            else:
                mark = hashlib.sha256(content).hexdigest()
                content = (
                    f'<a href="{wheel.replace("+", "%2B")}#sha256={mark}">{wheel}</a>'.encode()
                )
            self.send_response(200)
            self.send_header("Content-Type", "application/zip" if file else "text/html")
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    result = Indexes(f"http://127.0.0.1:{server.server_address[1]}")
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield result
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
