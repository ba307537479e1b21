"""A visitor without a browser: the page's own uploads and events, over HTTP."""

from __future__ import annotations

import secrets
from urllib.parse import quote

import httpx
from gradio_client import Client

AS_OPENED = {"start": ("keep",), "again": ("keep",)}  # what the page's choices are at first


class Visit:
    """One visitor's session with a running page, perhaps through a proxy that tells an address."""

    def __init__(self, url: str, address: str = "") -> None:
        self.url = url
        self.token = secrets.token_hex(16)
        self.headers = {"X-Forwarded-For": address} if address else {}
        self.gradio = Client(url, headers=self.headers, verbose=False, analytics_enabled=False)
        self.call("attach", self.token)

    def call(self, name: str, *values):
        """Triggers an event of the page; its last values."""
        given = values or AS_OPENED.get(name, ())
        return self.gradio.predict(*given, api_name=f"/{name}")

    def upload(self, kind: str, content: bytes, name: str = "a.png", key: str = ""):
        """Uploads a file as the page's widgets do."""
        return httpx.post(
            f"{self.url}/icm/upload",
            params={"kind": kind, "key": key},
            content=content,
            headers={"X-Icm-Visitor": self.token, "X-Icm-Name": quote(name), **self.headers},
            timeout=120,
        )

    def get(self, path: str):
        """A file of this visitor."""
        return httpx.get(f"{self.url}/icm/{self.token}/{path}", headers=self.headers, timeout=120)

    def leave(self) -> None:
        """Closes the page."""
        self.gradio.close()
