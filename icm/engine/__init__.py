"""Runs over folders of any size: resumable, bounded in memory, each failure named."""

from icm.engine.archive import archive_format, archive_into, open_archive
from icm.engine.call import Call
from icm.engine.engine import Engine
from icm.engine.group_file import read_groups
from icm.engine.jobs import Group, Job, Missed, find_pictures, listed_pictures, make_jobs
from icm.engine.ledger import LEDGER, Entry, Ledger, read_entries
from icm.engine.local import LocalRun, Outcome
from icm.engine.pictures import Pictures, Seconds, Steps
from icm.engine.report import check_report, write_report
from icm.engine.request import Request
from icm.engine.session import Listener, preview, run_archive, run_folder, watch_folder
from icm.engine.signals import Stop, interrupted_by_termination, stops_on_signals
from icm.engine.stages import Final
from icm.engine.summary import Summary

__all__ = [
    "LEDGER",
    "Call",
    "Engine",
    "Entry",
    "Final",
    "Group",
    "Job",
    "Ledger",
    "Listener",
    "LocalRun",
    "Missed",
    "Outcome",
    "Pictures",
    "Request",
    "Seconds",
    "Steps",
    "Stop",
    "Summary",
    "archive_format",
    "archive_into",
    "check_report",
    "find_pictures",
    "interrupted_by_termination",
    "listed_pictures",
    "make_jobs",
    "open_archive",
    "preview",
    "read_entries",
    "read_groups",
    "run_archive",
    "run_folder",
    "stops_on_signals",
    "watch_folder",
    "write_report",
]
