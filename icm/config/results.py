"""Kinds of results; here, so that the command line's help need not wait for torch."""

SAVE_KINDS = ("alpha", "cutout", "trimap", "guidance", "composite")
