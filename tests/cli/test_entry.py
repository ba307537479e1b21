"""Exit codes and messages of the command, whatever a verb does."""

import argparse
import os
import signal
import subprocess
import sys

import pytest

from icm import __version__
from icm.cli import entry
from icm.errors import InputError


class Verb:
    """Stands for a verb's module."""

    def __init__(self, outcome):
        self.outcome = outcome

    def add_parser(self, subparsers):
        subparsers.add_parser("verb").add_argument("--number", type=int)

    def run(self, arguments):
        assert isinstance(arguments, argparse.Namespace)
        if isinstance(self.outcome, BaseException):
            raise self.outcome
        return self.outcome


@pytest.fixture
def run(monkeypatch, capsys):
    """Runs `icm verb` with a verb of a given outcome: exit code, output, errors."""

    def call(outcome, *words):
        monkeypatch.setattr(entry, "VERBS", ("verb",))
        monkeypatch.setattr(entry.importlib, "import_module", lambda name: Verb(outcome))
        code = entry.main(list(words) or ["verb"])
        captured = capsys.readouterr()
        return code, captured.out, captured.err

    return call


@pytest.mark.parametrize("code", [0, 1, 2])
def test_the_verb_s_code_is_the_command_s(run, code):
    assert run(code) == (code, "", "")


def test_what_a_user_can_mend_is_a_message_and_code_2(run):
    assert run(InputError("cat.jpg is empty: copy it again")) == (
        2,
        "",
        "icm verb: cat.jpg is empty: copy it again\n",
    )


def test_a_wrong_call_is_code_2(run):
    for words in (["verb", "--number", "x"], ["verb", "--unknown"], ["unknown"], ["--unknown"]):
        code, out, err = run(0, *words)
        assert code == 2
        assert out == ""
        assert "usage: icm" in err
        assert "Traceback" not in err


def test_no_verb_at_all(capsys):
    assert entry.main([]) == 2
    assert "required: COMMAND" in capsys.readouterr().err


def test_an_interrupt_is_clean(run):
    code, _, err = run(KeyboardInterrupt())
    assert code == 130
    assert err == "\nicm verb: interrupted\n"


def test_a_defect_is_not_hidden(run):
    with pytest.raises(ZeroDivisionError):
        run(ZeroDivisionError())


def test_help_names_every_verb(capsys):
    assert entry.main(["--help"]) == 0
    out = capsys.readouterr().out
    for verb in entry.VERBS:
        assert f"\n    {verb}" in out


def python(*words, **options):
    command = [sys.executable, *words]
    return subprocess.run(command, capture_output=True, text=True, check=False, **options)


def test_version_as_a_process():
    result = python("-m", "icm", "--version")
    assert (result.returncode, result.stdout) == (0, f"icm {__version__}\n")


HEAVY = ("diffusers", "transformers", "accelerate", "pymatting", "numba", "gradio")


@pytest.mark.parametrize(
    ("run", "heavy"),
    [
        ("import icm", (*HEAVY, "torch", "cv2", "numpy", "pydantic", "yaml")),
        (
            "from icm.cli import main; main(['--help'])",
            (*HEAVY, "torch", "cv2", "numpy", "pydantic", "yaml"),
        ),
        ("import icm; icm.load('small')", HEAVY),
    ],
)
def test_heavy_packages_are_loaded_only_where_they_are_used(run, heavy):
    code = f"import sys; {run}; print([name for name in {heavy} if name in sys.modules])"
    result = python("-c", code)
    assert result.stdout.splitlines()[-1:] == ["[]"], result.stderr


def test_ctrl_c_in_a_process():
    """The interrupt comes while a verb works: no traceback, the shell's code for it."""
    code = (
        "import signal, sys, time, types\n"
        # A shell starts background jobs with the interrupt ignored; the test may be in one.
        "signal.signal(signal.SIGINT, signal.default_int_handler)\n"
        "from icm.cli import entry\n"
        "def add_parser(subparsers): subparsers.add_parser('verb')\n"
        "def run(arguments): print('ready', flush=True); time.sleep(60)\n"
        "verb = types.ModuleType('icm.cli.verb')\n"
        "verb.add_parser, verb.run = add_parser, run\n"
        "sys.modules['icm.cli.verb'] = verb\n"
        "entry.VERBS = ('verb',)\n"
        "sys.exit(entry.main(['verb']))\n"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert process.stdout.readline() == "ready\n"
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=30)
    assert process.returncode == 130
    assert err == "\nicm verb: interrupted\n"


def test_a_reader_that_stops_reading():
    """As in `icm info | head -0`: the pipe is closed before anything is written."""
    reading, writing = os.pipe()
    os.close(reading)
    command = [sys.executable, "-m", "icm", "info"]
    result = subprocess.run(command, stdout=writing, stderr=subprocess.PIPE, check=False)
    os.close(writing)
    assert result.returncode == 141
    assert result.stderr == b""
