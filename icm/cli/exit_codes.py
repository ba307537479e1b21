"""What the process of a command ends with, beside 0: all done."""

from __future__ import annotations

FAILED = 1  # of the targets some, or a run broke off
WRONG_CALL = 2
INTERRUPTED = 130  # 128 + SIGINT, as shells have it
BROKEN_PIPE = 141  # 128 + SIGPIPE
