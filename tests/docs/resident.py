"""One process that has imported everything, and forks for each `icm` that a page's shell runs.

Importing torch for every command would take minutes. The shell blocks are run by a real shell all
the same: `icm` on its path is a small program that hands its arguments, folder, environment and
open files to this process, and ends with the exit code that comes back.

    python -m tests.docs.resident SOCKET CONFIG      # CONFIG takes the place of the model 'small'
"""

from __future__ import annotations

import json
import os
import signal
import socket
import struct
import sys
import traceback

CLIENT = """#!{python} -IS
import json, os, signal, socket, struct, sys
link = socket.socket(socket.AF_UNIX)
link.connect({path!r})
call = json.dumps([sys.argv[1:], os.getcwd(), dict(os.environ)]).encode()
socket.send_fds(link, [struct.pack("I", len(call))], [0, 1, 2])
link.sendall(call)
child = struct.unpack("I", link.recv(4, socket.MSG_WAITALL))[0]
ended_by = 127
def hand_on(number, frame):
    global ended_by
    ended_by = number
    os.kill(child, number)
for number in (signal.SIGINT, signal.SIGTERM):
    signal.signal(number, hand_on)
code = link.recv(4, socket.MSG_WAITALL)
sys.exit(struct.unpack("I", code)[0] if len(code) == 4 else 128 + ended_by)
"""


def serve(path: str, config: str) -> None:
    """Answers until it is terminated."""
    main = _prepared(config)
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(path)
        listener.listen()
        signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # children are reaped by the system
        print("ready", flush=True)
        while True:
            link, _ = listener.accept()
            if os.fork() == 0:
                listener.close()
                _answer(link, main)
            link.close()


def use_tiny_model(config: str) -> None:
    """Puts a configuration in the place of the model 'small', whose weights take longer to load."""
    import icm.build as build

    original = build.bundled_config
    build.bundled_config = lambda name: original(config if name == "small" else name)


def _prepared(config: str):
    import torch

    import app.server
    import icm.cli.demonstration
    import icm.engine
    from icm.cli import main

    torch.set_num_threads(1)
    use_tiny_model(config)
    assert app.server and icm.engine
    return main


def _answer(link: socket.socket, main) -> None:
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    code = 255
    try:
        head, files, _, _ = socket.recv_fds(link, 4, 3)
        for number, file in enumerate(files):
            os.dup2(file, number)
            os.close(file)
        (length,) = struct.unpack("I", head)
        argv, folder, environment = json.loads(link.recv(length, socket.MSG_WAITALL))
        os.chdir(folder)
        os.environ.clear()
        os.environ.update(environment)
        link.sendall(struct.pack("I", os.getpid()))
        code = main(argv)
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        link.sendall(struct.pack("I", code))
        os._exit(0)


if __name__ == "__main__":
    serve(sys.argv[1], sys.argv[2])
