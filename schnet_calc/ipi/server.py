"""i-PI itself as a process of ours: started, watched, stopped in order."""

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import sysconfig
import threading
import time
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from queue import SimpleQueue
from typing import Any

WITH_PARENT = Path(__file__).with_name("with_parent.py")
LOG = "i-pi.log"
PATIENCE = 30.0
"""Seconds that i-PI gets to write its restart file before it is killed."""
STEP = 10.0
"""Seconds that it gets before that to finish the step that it is at."""
EXIT = "EXIT"
"""A file that i-PI looks for after each step; its present state is then what the restart file holds."""


def _started(command: Sequence[str], **options: Any) -> subprocess.Popen[bytes]:
    """Start a process from a thread that lives as long as it does.

    Linux tells a process of the end of its parent when the *thread* that started it ends.
    """
    if sys.platform != "linux":
        return subprocess.Popen(command, **options)
    answer: SimpleQueue[subprocess.Popen[bytes] | BaseException] = SimpleQueue()
    start = partial(_start_and_wait, answer, command, options)
    threading.Thread(target=start, daemon=True, name="i-pi").start()
    found = answer.get()
    if isinstance(found, BaseException):
        raise found
    return found


def _start_and_wait(answer: SimpleQueue[Any], command: Sequence[str], options: dict[str, Any]) -> None:
    try:
        process = subprocess.Popen(command, **options)
    except BaseException as error:
        answer.put(error)
        return
    answer.put(process)
    with contextlib.suppress(ChildProcessError):
        os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)


class Server:
    """A run of i-PI in a folder.

    Parameters
    ----------
    directory : path
        Where the input lies and the output goes.
    input_file : str
        ``input.xml``, or a checkpoint to go on from.
    prefix : str, optional
        i-PI's ``sockets_prefix``.
    environment : dict, optional
        More environment variables.
    keep_open : sequence of int
        File descriptors that i-PI inherits: a lock that it holds until it ends.

    Raises
    ------
    FileNotFoundError
        i-PI is not installed.
    """

    def __init__(
        self,
        directory: Path,
        input_file: str,
        prefix: str | None = None,
        environment: dict[str, str] | None = None,
        keep_open: Sequence[int] = (),
    ) -> None:
        self.log = directory / LOG
        # An EXIT file of an earlier stop would stop this run too.
        self._exit = directory / EXIT
        self._exit.unlink(missing_ok=True)
        watched = [
            sys.executable,
            str(WITH_PARENT),
            str(os.getpid()),
        ]  # killed alone, we leave no i-PI behind
        command = [*watched, sys.executable, str(_script()), input_file]
        with self.log.open("a") as stream:
            self.process = _started(
                command + (["-S", prefix] if prefix else []),
                cwd=directory,
                stdout=stream,
                stderr=subprocess.STDOUT,
                env={**os.environ, **(environment or {})},
                start_new_session=True,
                pass_fds=keep_open,
            )

    @property
    def running(self) -> bool:
        """Whether the process lives."""
        return self.process.poll() is None

    def stop(self, answered: bool = True) -> None:
        """Ask for an orderly end, which writes RESTART; kill what does not end.

        Parameters
        ----------
        answered : bool
            Whether i-PI still gets its forces, and so can finish its step: nothing of the run is computed again on
            resuming. Otherwise it goes back to the state that it saved last.
        """
        try:
            if self.running and answered:
                self._exit.touch()
                self.wait(STEP)
            if self.running:
                self.process.send_signal(signal.SIGTERM)
                with contextlib.suppress(subprocess.TimeoutExpired):
                    self.process.wait(PATIENCE)
        finally:
            self._exit.unlink(missing_ok=True)
            # A second Ctrl-C gets here too.
            if self.running:
                self.process.kill()
            self.process.wait()

    def wait(self, seconds: float) -> bool:
        """Wait for the end; whether it came."""
        deadline = time.monotonic() + seconds
        while self.running and time.monotonic() < deadline:
            time.sleep(0.02)
        return not self.running

    def last_words(self, lines: int = 12) -> str:
        """The end of its log, for an error message."""
        return "\n".join(self.log.read_text(errors="replace").splitlines()[-lines:])


def _script() -> Path:
    """The ``i-pi`` script beside this Python, or on the path."""
    beside = Path(sysconfig.get_path("scripts")) / "i-pi"
    if beside.exists():
        return beside
    found = shutil.which("i-pi")
    if found is None:
        raise FileNotFoundError("the program i-pi is not installed: pip install ipi")
    return Path(found)
