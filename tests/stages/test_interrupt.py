"""Ctrl-C ends a process that computes and answers no signal, and leaves one that unwinds alone."""

from __future__ import annotations

import signal
import subprocess
import sys
import time

SCRIPT = """
import ctypes, sys, time
from foldsmith.stages.interrupt import ends_promptly
try:
    with ends_promptly(lambda: "given up; go on so"):
        print("ready", flush=True)
        {work}
except KeyboardInterrupt:
    print("unwound", flush=True)
    sys.exit(7)
"""


def interrupted(work: str, wait: float) -> tuple[subprocess.Popen[str], str, str, float]:
    process = subprocess.Popen(
        [sys.executable, "-c", SCRIPT.format(work=work)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    time.sleep(wait)
    began = time.monotonic()
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=60)
    return process, out, err, time.monotonic() - began


def test_one_that_unwinds_is_left_alone() -> None:
    process, out, err, _ = interrupted("time.sleep(60)", 0.1)
    assert (process.returncode, out, err) == (7, "unwound\n", "")


def test_one_that_does_not_answer_is_ended_with_its_last_words() -> None:
    """A C library that computes for minutes, the interpreter's lock released, and hears no signal."""
    process, out, err, took = interrupted(
        "import hashlib; hashlib.pbkdf2_hmac('sha256', b'', b'', 10**9)", 0.5
    )
    assert process.returncode == 130
    assert out == ""
    assert err == "error: given up; go on so\n"
    assert took < 30  # it is some 1.2 s; the work takes minutes


THREAD = """
import signal, sys, threading, time
from foldsmith.stages.interrupt import POOL, ends_promptly
def fail():
    time.sleep(0.1)
    raise KeyError(5)
try:
    with ends_promptly(lambda: "given up"):
        thread = threading.Thread(target=fail, name={name})
        thread.start()
        if {stop}:
            signal.raise_signal(signal.SIGINT)
        thread.join()
except KeyboardInterrupt:
    pass
thread.join()
print("hook restored", threading.excepthook is threading.__excepthook__)
"""


def thread_that_fails(name: str, *, stop: bool) -> tuple[str, str]:
    done = subprocess.run(
        [sys.executable, "-c", THREAD.format(name=name, stop=stop)],
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout, done.stderr


def test_the_pools_thread_says_nothing_once_it_was_stopped() -> None:
    assert thread_that_fails("POOL", stop=True)[1] == ""
    # Any other thread, and the pool's unless it was stopped, is heard.
    assert "KeyError: 5" in thread_that_fails("'another'", stop=True)[1]
    out, err = thread_that_fails("POOL", stop=False)
    assert "KeyError: 5" in err
    assert out == "hook restored True\n"
