"""Ctrl-C ends a command within two seconds, also while a library computes and answers no signal."""

from __future__ import annotations

import os
import signal
import socket
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

PATIENCE = 1.2
"""Seconds that the ordinary way out, a KeyboardInterrupt that unwinds, is waited for."""
STATUS = 130
POOL = "ExecutorManagerThread"
"""Name of the thread in which joblib's pool looks after its workers."""
_GRACE = 0.5
"""Seconds in which a signal and what it does to a thread may be seen in either order."""


@contextmanager
def ends_promptly(give_up: Callable[[], str]) -> Iterator[None]:
    """Inside, a Ctrl-C that does not unwind within PATIENCE ends the process all the same.

    `give_up` is called then, in another thread, and returns the last words for stderr. Only the main thread can
    hear signals; elsewhere this does nothing.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    heard, told = socket.socketpair()
    heard.setblocking(True)
    told.setblocking(False)
    left, interrupted = threading.Event(), threading.Event()
    hook = threading.excepthook
    threading.excepthook = _without_the_pools_end(hook, interrupted)
    before = signal.set_wakeup_fd(told.fileno(), warn_on_full_buffer=False)
    watch = threading.Thread(target=_watch, args=(heard, left, interrupted, give_up), daemon=True)
    watch.start()
    try:
        yield
    finally:
        signal.set_wakeup_fd(before)
        left.set()
        told.close()  # ends the watch
        watch.join()
        heard.close()
        if not interrupted.is_set():  # else the pool may yet end
            threading.excepthook = hook


def _without_the_pools_end(
    hook: Callable[[threading.ExceptHookArgs], object], interrupted: threading.Event
) -> Callable[[threading.ExceptHookArgs], object]:
    """`hook`, but for what the pool's thread raises once its workers were dropped for a Ctrl-C: no user can use it."""

    def told(args: threading.ExceptHookArgs) -> None:
        pools = args.thread is not None and args.thread.name == POOL
        if not (pools and interrupted.wait(_GRACE)):
            hook(args)

    return told


def _watch(
    heard: socket.socket, left: threading.Event, interrupted: threading.Event, give_up: Callable[[], str]
) -> None:
    """Wait for the byte that the interpreter's own handler writes, whatever the main thread is doing."""
    while numbers := heard.recv(64):
        if signal.SIGINT not in numbers:
            continue
        interrupted.set()
        if not left.wait(PATIENCE):
            with suppress(Exception):  # whatever it meets, the user asked for an end
                sys.stderr.write(f"error: {give_up()}\n")
                sys.stderr.flush()
            os._exit(STATUS)
