"""Clicks and boxes on a photo of the object, and the mask that they grow to as a preview."""

from __future__ import annotations

import asyncio
import io
import threading
from collections import OrderedDict

import numpy as np
from fastapi import FastAPI, Request
from fastapi.responses import Response
from PIL import Image
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from icm import InputError, Marking, Points

from .page_state import PageState
from .session import Photo, Session

_KEPT = 4  # photographs whose features are kept; those of one take some megabytes
_MOST = 200  # clicks on one photograph

Place = tuple[float, float]


class Clicks(BaseModel):
    """Marks in shares of the photo's width and height.

    Attributes:
        inside: places on the object.
        outside: places on the background.
        box: left, top, right and bottom of a box around the object.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    inside: tuple[Place, ...] = Field(default=(), max_length=_MOST)
    outside: tuple[Place, ...] = Field(default=(), max_length=_MOST)
    box: tuple[float, float, float, float] | None = None

    def points(self, size: tuple[int, int]) -> Points:
        """The same in pixels of a photo of this height and width."""
        height, width = size
        last = (np.nextafter(width, 0), np.nextafter(height, 0))

        def at(place: Place) -> Place:
            return min(place[0] * width, last[0]), min(place[1] * height, last[1])

        box = self.box and (
            self.box[0] * width,
            self.box[1] * height,
            self.box[2] * width,
            self.box[3] * height,
        )
        return Points(tuple(map(at, self.inside)), tuple(map(at, self.outside)), box)


class Markings:
    """Photographs that were clicked on last, as models saw them; never more than a few.

    Args:
        state: of the running page.
    """

    def __init__(self, state: PageState) -> None:
        self._state = state
        self._kept: OrderedDict[tuple[str, str, str], Marking] = OrderedDict()
        self._lock = threading.Lock()

    def mask(self, session: Session, photo: Photo, clicks: Clicks) -> bytes:
        """A grey PNG of the working copy's size; white where the object is.

        Raises:
            InputError: the marks do not fit, or the queue is full.
        """
        if photo.saved is not None:
            raise InputError("a saved reference holds its marks already")
        points = clicks.points(photo.size)

        def compute() -> bytes:
            mask = self._marking(session, photo).mask(points)
            image = Image.fromarray(np.rint(mask * 255).astype(np.uint8))
            buffer = io.BytesIO()
            image.resize(photo.shown[::-1], Image.Resampling.BILINEAR).save(buffer, "PNG")
            return buffer.getvalue()

        return self._state.device.submit(compute, session.client).future.result()

    def _marking(self, session: Session, photo: Photo) -> Marking:
        models = self._state.models
        with models.watched(session.model):
            matting = models.matting(session.model)
            key = (session.token, photo.key, matting.fingerprint)
            with self._lock:
                found = self._kept.pop(key, None)
            marking = found or matting.marking(photo.path)
            with self._lock:
                self._kept[key] = marking
                while len(self._kept) > _KEPT:
                    self._kept.popitem(last=False)
            return marking


def add_marking(app: FastAPI, state: PageState) -> None:
    """Adds the route that grows clicks and boxes to a mask."""
    markings = Markings(state)

    @app.post("/icm/{token}/{key}/grow")
    async def grow(request: Request, token: str, key: str) -> Response:
        try:
            clicks = Clicks.model_validate_json(await request.body())
        except ValidationError as error:
            raise InputError("these marks cannot be read: reload the page") from error
        session = state.registry.get(token)
        content = await asyncio.to_thread(markings.mask, session, session.photo(key), clicks)
        return Response(content, media_type="image/png", headers={"Cache-Control": "no-store"})
