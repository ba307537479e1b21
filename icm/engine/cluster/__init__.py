"""Runs on a Ray cluster: URIs in, results in a store, a Parquet ledger beside them."""

from icm.engine.cluster.access import Access
from icm.engine.cluster.manifest import (
    Target,
    folder_targets,
    is_manifest,
    listed_targets,
    manifest_targets,
)
from icm.engine.cluster.session import (
    ClusterListener,
    ClusterRequest,
    ClusterSummary,
    preview_cluster,
    run_cluster,
)
from icm.engine.cluster.storage import Place

__all__ = [
    "Access",
    "ClusterListener",
    "ClusterRequest",
    "ClusterSummary",
    "Place",
    "Target",
    "folder_targets",
    "is_manifest",
    "listed_targets",
    "manifest_targets",
    "preview_cluster",
    "run_cluster",
]
