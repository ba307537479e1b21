"""Timing and memory: the published path beside ours, in one run."""
