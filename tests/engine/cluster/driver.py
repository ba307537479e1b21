"""The driver of a run with the fake model, as a process of its own that can be killed.

python -m tests.engine.cluster.driver SOURCE RESULTS ADDRESS WORKERS
"""

from __future__ import annotations

import json
import sys
import tempfile
from dataclasses import asdict
from pathlib import Path

from icm.config.batch import BatchConfig
from icm.config.cluster import ClusterConfig
from icm.engine import Stop
from icm.engine.cluster import (
    Access,
    ClusterRequest,
    Place,
    folder_targets,
    is_manifest,
    manifest_targets,
    run_cluster,
)
from tests.engine.cluster.fake import fake_reference, load_fake, model_config
from tests.engine.tiny import paint_reference


class Silent:
    """Follows a run without a word."""

    def begin(self, total: int | None) -> None:
        pass

    def advance(self, outcome: object) -> None:
        pass

    def rates(self, pictures: dict[str, float]) -> None:
        pass


def request_of(
    source: str, results: str, folder: Path, cluster: ClusterConfig, **config: object
) -> ClusterRequest:
    """A request with the fake model.

    Args:
        source: a folder, or a manifest.
        results: where results go.
        folder: for the files of model and reference.
        cluster: how it is spread.
        config: of the batch.
    """
    reference, mask = paint_reference(folder)
    settings = BatchConfig.model_validate(config)
    place = Place(source)

    def targets():  # type: ignore[no-untyped-def]  # of Target
        if is_manifest(source):
            return manifest_targets(place, Access(source.rpartition("/")[0], cluster.allow))
        return folder_targets(
            place, settings.search, skip=Place(results), missed=lambda folder, reason: None
        )

    return ClusterRequest(
        source=source,
        targets=targets,
        references={"": ((str(reference), str(mask)),)},
        results=results,
        model=model_config(folder),
        device="cpu",
        load=load_fake,
        make_reference=fake_reference,
        config=settings,
        cluster=cluster,
        missed=[],
    )


def main(source: str, results: str, address: str, workers: str) -> None:
    with tempfile.TemporaryDirectory() as folder:
        cluster = ClusterConfig(
            address=address, least=int(workers), most=int(workers), batch=4, flush=0.2
        )
        request = request_of(source, results, Path(folder), cluster)
        ended = run_cluster(request, Stop(), Silent())
    print(json.dumps(asdict(ended)))


if __name__ == "__main__":
    main(*sys.argv[1:])
