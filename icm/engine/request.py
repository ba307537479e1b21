"""What a person asks a run to do."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from icm.config.batch import BatchConfig
from icm.engine.contract import LoadedModel
from icm.engine.jobs import Group, ReferencePair, make_jobs
from icm.images import read_image
from icm.results import Reference

MakeReference = Callable[[Sequence[ReferencePair]], Reference]


@dataclass(frozen=True)
class Request:
    """What a person asks for.

    Attributes:
        matting: the model.
        make_reference: from (picture or `.icmref`, mask) pairs.
        root: the input folder.
        groups: the targets and their references.
        config: of the run.
        missed: folders that could not be listed, each with the reason.
    """

    matting: LoadedModel
    make_reference: MakeReference
    root: Path
    groups: tuple[Group, ...]
    config: BatchConfig
    missed: tuple[tuple[str, str], ...] = ()

    def checked(self) -> Request:
        """The same with the reference of a single group made; looks at targets and background.

        Raises:
            InputError: one of them cannot be used.
        """
        make_jobs(self.groups, self.root, {})  # refuses targets outside the input folder
        background = self.config.results.background
        if isinstance(background, str) and background != "checker":
            read_image(background)
        if len(self.groups) > 1:
            return self
        reference = self.make_reference(self.groups[0].references)
        return replace(self, make_reference=lambda pairs: reference)
