"""Weights from a hub that misbehaves; everything on loopback."""

from __future__ import annotations

import hashlib
import os
import signal
import subprocess
import sys

import huggingface_hub
import huggingface_hub.constants
import pytest

from icm.config.diffusion import HubMirror, HubWeights, WeightFile
from icm.errors import WeightsError
from icm.weights.hub import fetch_snapshot, find_snapshot, verify_snapshot
from tests.weights.hub_server import COMMIT, Hub, serve

pytestmark = pytest.mark.fault

BIG, SMALL = "unet/model.safetensors", "unet/config.json"
CONTENT = bytes(range(256)) * 4096  # 1 MiB


@pytest.fixture
def hub(monkeypatch, tmp_path):
    constants = huggingface_hub.constants
    hub = Hub()
    for name in ("first", "second"):
        hub.files[f"org/{name}/{BIG}"] = CONTENT
        hub.files[f"org/{name}/{SMALL}"] = b"{}"
    with serve(hub) as address:
        monkeypatch.setattr(constants, "ENDPOINT", address)
        monkeypatch.setattr(
            constants,
            "HUGGINGFACE_CO_URL_TEMPLATE",
            address + "/{repo_id}/resolve/{revision}/{filename}",
        )
        monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
        monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
        monkeypatch.setattr(constants, "HF_HUB_DISABLE_PROGRESS_BARS", True)
        monkeypatch.setattr(constants, "DOWNLOAD_CHUNK_SIZE", 1 << 16)
        monkeypatch.setattr("time.sleep", lambda _: None)  # the client waits between tries
        monkeypatch.setenv("NO_PROXY", "127.0.0.1")
        yield hub


def _weights(*mirrors: str, sha256: str | None = None, size: int | None = None) -> HubWeights:
    return HubWeights(
        mirrors=tuple(HubMirror(repository=f"org/{name}") for name in mirrors),
        files=(WeightFile(path=SMALL), WeightFile(path=BIG, sha256=sha256, bytes=size)),
        text_files=(),
        licence="A Licence",
        licence_url="https://example.org/licence",
    )


def test_fetches_once_and_then_uses_no_network(hub):
    weights = _weights("first", sha256=hashlib.sha256(CONTENT).hexdigest(), size=len(CONTENT))
    assert find_snapshot(weights) is None
    folder = fetch_snapshot(weights)
    assert (folder / BIG).read_bytes() == CONTENT
    assert folder.name == COMMIT
    hub.log.clear()
    assert fetch_snapshot(weights) == find_snapshot(weights) == folder
    assert hub.log == []
    assert verify_snapshot(folder, weights) == []


def test_a_pinned_revision_is_taken_or_nothing(hub):
    weights = _weights("first")
    pinned = (HubMirror(repository="org/first", revision=COMMIT),)
    folder = fetch_snapshot(weights.model_copy(update={"mirrors": pinned}))
    assert folder.name == COMMIT
    absent = (HubMirror(repository="org/first", revision="d" * 40),)
    with pytest.raises(WeightsError, match="it has no revision 'dddd"):
        fetch_snapshot(weights.model_copy(update={"mirrors": absent}))


def test_a_dropped_connection_is_resumed(hub):
    hub.drops[f"org/first/{BIG}"] = 2
    folder = fetch_snapshot(_weights("first"))
    assert (folder / BIG).read_bytes() == CONTENT
    starts = [int(line.split()[2]) for line in hub.log if line.startswith(f"GET org/first/{BIG}")]
    assert starts[0] == 0
    assert all(start > 0 for start in starts[1:])
    assert len(starts) == 3


KILLED = """
from tests.weights.test_hub import BIG, _weights
from icm.weights.hub import fetch_snapshot
fetch_snapshot(_weights("first"))
"""


def test_a_killed_download_leaves_nothing_that_counts_as_complete(hub):
    hub.stalls.add(f"org/first/{BIG}")
    constants = huggingface_hub.constants
    environment = {
        **os.environ,
        "HF_ENDPOINT": constants.ENDPOINT,
        "HF_HUB_CACHE": constants.HF_HUB_CACHE,
        "HF_HUB_OFFLINE": "0",
    }
    process = subprocess.Popen([sys.executable, "-c", KILLED], env=environment)
    assert hub.stalled.wait(timeout=60)
    process.send_signal(signal.SIGKILL)
    process.wait()
    weights = _weights("first")
    assert find_snapshot(weights) is None
    hub.stalls.clear()
    hub.released.set()
    assert (fetch_snapshot(weights) / BIG).read_bytes() == CONTENT


def test_a_connection_that_always_drops_leaves_nothing_broken(hub, tmp_path):
    hub.files[f"org/first/{BIG}"] = b"x"  # half of one byte: no progress, whatever is tried
    hub.drops[f"org/first/{BIG}"] = 10**6
    weights = _weights("first")
    with pytest.raises(WeightsError, match="Run 'icm weights fetch' again"):
        fetch_snapshot(weights)
    assert find_snapshot(weights) is None
    hub.drops.clear()
    assert (fetch_snapshot(weights) / BIG).read_bytes() == b"x"


def test_a_truncated_file_does_not_count_as_complete(hub):
    hub.truncated.add(f"org/first/{BIG}")
    weights = _weights("first")
    with pytest.raises(WeightsError, match="no mirror delivered"):
        fetch_snapshot(weights)
    assert find_snapshot(weights) is None


def test_a_lie_about_the_hash_is_noticed_and_the_next_mirror_serves(hub):
    hub.lies.add(f"org/first/{BIG}")
    folder = fetch_snapshot(_weights("first", "second"))
    assert (folder / BIG).read_bytes() == CONTENT
    assert "second" in str(folder)
    assert find_snapshot(_weights("first")) is None  # the liar's file did not stay


def test_content_other_than_the_configured_hash_is_refused(hub, tmp_path):
    wrong = _weights("first", sha256="0" * 64)
    with pytest.raises(WeightsError, match="expected 0000"):
        fetch_snapshot(wrong)
    blobs = [p for p in (tmp_path / "hub").rglob("blobs/*") if p.stat().st_size == len(CONTENT)]
    assert blobs == []
    with pytest.raises(WeightsError, match="has 1048576 bytes, expected 7"):
        fetch_snapshot(_weights("first", size=7))


def test_the_order_of_mirrors_is_kept_and_each_failure_is_told(hub):
    hub.gated.add("org/first")
    with pytest.raises(WeightsError) as caught:
        fetch_snapshot(_weights("first", "absent"))
    message = str(caught.value)
    assert "org/first: accept the licence A Licence" in message
    assert "org/absent: the repository is not there" in message
    assert "--backbone PATH" in message
    assert "https://example.org/licence" in message
    assert "second" in str(fetch_snapshot(_weights("first", "absent", "second")))


def test_a_missing_file_is_named(hub):
    del hub.files[f"org/first/{BIG}"]
    with pytest.raises(WeightsError, match="a file is missing there"):
        fetch_snapshot(_weights("first"))


def test_offline_mode_sends_nothing_and_says_what_to_do(hub, monkeypatch):
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    with pytest.raises(WeightsError, match=r"unset HF_HUB_OFFLINE.*--backbone PATH"):
        fetch_snapshot(_weights("first"))
    assert hub.log == []
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", False)
    folder = fetch_snapshot(_weights("first"))
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    assert fetch_snapshot(_weights("first")) == folder


def test_an_unreachable_server_is_said_to_be_unreachable(hub, monkeypatch):
    address = "http://127.0.0.1:9"  # the discard port: nothing listens
    monkeypatch.setattr(huggingface_hub.constants, "ENDPOINT", address)
    monkeypatch.setattr(
        huggingface_hub.constants,
        "HUGGINGFACE_CO_URL_TEMPLATE",
        address + "/{repo_id}/resolve/{revision}/{filename}",
    )
    with pytest.raises(WeightsError, match="check connection, proxy and firewall"):
        fetch_snapshot(_weights("first"))


def test_damage_after_the_download_is_found_by_verifying(hub):
    weights = _weights("first")
    folder = fetch_snapshot(weights)
    unhashed = verify_snapshot(folder, weights)
    assert unhashed == []
    (folder / BIG).write_bytes(CONTENT[:-1] + b"?")
    with pytest.raises(WeightsError, match="damaged or another file than it says"):
        verify_snapshot(folder, weights)
    (folder / BIG).unlink()
    with pytest.raises(WeightsError, match="is missing"):
        verify_snapshot(folder, weights)
