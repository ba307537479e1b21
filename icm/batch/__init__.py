"""Runs over folders of any size: resumable, bounded in memory, each failure named."""

from icm.batch.archive import archive_format, archive_into, open_archive
from icm.batch.groups import read_groups
from icm.batch.jobs import Group, Job, Missed, find_pictures, listed_pictures, make_jobs
from icm.batch.ledger import LEDGER, Entry, Ledger, read_entries
from icm.batch.local import LocalRun, Outcome
from icm.batch.report import write_report
from icm.batch.request import Request
from icm.batch.session import Listener, preview, run_archive, run_folder, watch_folder
from icm.batch.signals import Stop, interrupted_by_termination, stops_on_signals
from icm.batch.summary import Summary

__all__ = [
    "LEDGER",
    "Entry",
    "Group",
    "Job",
    "Ledger",
    "Listener",
    "LocalRun",
    "Missed",
    "Outcome",
    "Request",
    "Stop",
    "Summary",
    "archive_format",
    "archive_into",
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
