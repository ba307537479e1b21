"""`python -m app`: the web page without the command `icm`."""

from __future__ import annotations

import argparse
import sys

from icm import IcmError

from .settings import add_model_options, add_options, settings_of


def main() -> int:
    """Serves the page; 2 where the options are wrong, 1 where a required model is broken."""
    parser = argparse.ArgumentParser(prog="python -m app", description=__doc__)
    add_model_options(parser)
    add_options(parser)
    try:
        settings = settings_of(parser.parse_args())
        from .server import serve  # noqa: PLC0415 - imports Gradio and torch, not for --help

        return serve(settings)
    except IcmError as error:
        print(f"app: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        return 130


if __name__ == "__main__":
    sys.exit(main())
