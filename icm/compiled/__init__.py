"""Networks compiled for a processor by OpenVINO and run in the place of torch's."""

from icm.compiled.networks import compile_networks
from icm.compiled.runtime import Runtime

__all__ = ["Runtime", "compile_networks"]
