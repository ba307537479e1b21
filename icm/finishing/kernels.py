"""pymatting's compiled kernels, where the installation and the home may not be written too.

pymatting compiles when it is imported and numba keeps the result beside it or below the home; it
refuses to work where neither can be written, as for a service's user.
"""

from __future__ import annotations

import atexit
import importlib
import logging
import os
import shutil
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from icm.config.home import cache_root
from icm.errors import ConfigError

_LOG = logging.getLogger(__name__)
_NAMED = "NUMBA_CACHE_DIR"
_REFUSAL = "cannot cache function"
_LOCK = threading.Lock()  # whoever comes second must not find numba half set up


def load_pymatting() -> Any:
    """The module pymatting.

    Raises:
        ConfigError: the folder that NUMBA_CACHE_DIR names cannot be written.
    """
    with _LOCK:
        try:
            return importlib.import_module("pymatting")
        except RuntimeError as error:
            if _REFUSAL not in str(error):
                raise
        except OSError as error:  # of a folder that is named
            if _NAMED not in os.environ:
                raise
            raise _wrong_place() from error
        if _NAMED in os.environ:
            raise _wrong_place()
        _keep_elsewhere()
        return importlib.import_module("pymatting")


@contextmanager
def one_thread() -> Iterator[None]:
    """Has numba's kernels run on the calling thread alone.

    Those that pymatting runs in parallel read what their neighbours write: with one thread the same
    picture always gives the same colours, in two fifths of the processor's time on two cores.
    """
    numba = importlib.import_module("numba")
    before = numba.get_num_threads()
    numba.set_num_threads(1)
    try:
        yield
    finally:
        numba.set_num_threads(before)


def _keep_elsewhere() -> None:
    """Has numba keep what it compiles in the program's cache, or only for this process."""
    from numba.core import config  # noqa: PLC0415 - slow to import

    try:
        place = cache_root() / "numba"
        place.mkdir(parents=True, exist_ok=True)
        tempfile.TemporaryFile(dir=place).close()
    except (OSError, ConfigError):
        place = Path(tempfile.mkdtemp(prefix="icm-numba-"))
        atexit.register(shutil.rmtree, place, ignore_errors=True)
        _LOG.warning(
            "compiling pymatting for this run alone, which takes a while: no folder can be written "
            "that would keep it. Set %s or ICM_HOME to one that can",
            _NAMED,
        )
    vars(config)["CACHE_DIR"] = str(place)  # numba reads it at every function; not typed


def _wrong_place() -> ConfigError:
    return ConfigError(
        f"{_NAMED} is {os.environ[_NAMED]}, where nothing can be written: set it to a folder that "
        "can be, or to none"
    )
