"""Where units of work run: in processes of this machine, or on a Dask or Ray cluster.

All three take the same calls and give the same results, in whatever order they end. A call keeps what it makes in the
run's own folder, so the workers of a cluster must see that folder under the same path; a worker that is killed loses
the call at hand, which a cluster gives to another.
"""

from __future__ import annotations

import io
import logging
import os
import pickle
import secrets
import shutil
import signal
import socket
import threading
import time
import warnings
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import BrokenExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt

from foldsmith.config import EXECUTORS
from foldsmith.errors import MissingError, MissingExtraError, SettingError

Item = TypeVar("Item")
Outcome = TypeVar("Outcome")

LOCAL, DASK, RAY = EXECUTORS
LIBRARIES = {LOCAL: "joblib", DASK: "distributed", RAY: "ray"}
LARGE = 1 << 20
"""Bytes of an array from which on workers map a file of it, rather than be sent copies."""
RETRIES = 10
"""How often a cluster gives a call to another worker when one was killed."""


PATIENCE = 20
"""Seconds in which a cluster must answer."""


class WorkersLost(Exception):  # noqa: N818 - not an error of the project's own: whoever runs units says what it means
    """A worker was killed, and nobody took its work."""


@dataclass(frozen=True)
class Executor:
    """Where calls run, and by how many workers.

    `cluster` is the address of a running Dask or Ray cluster; None starts one of `workers` processes on this machine,
    for as long as the calls take.

    Raises SettingError for an unknown kind, less than one worker, or an address where no cluster is meant, and
    MissingExtraError where the library is not installed.
    """

    kind: str = LOCAL
    workers: int = 1
    cluster: str | None = None

    def __post_init__(self) -> None:
        if self.kind not in EXECUTORS:
            raise SettingError(f"--executor {self.kind!r:.40} is unknown; there are {', '.join(EXECUTORS)}.")
        if self.workers < 1:
            raise SettingError(f"--workers {self.workers} is too small; the least is 1.")
        if self.cluster is not None and self.kind == LOCAL:
            raise SettingError(
                f"--cluster {self.cluster!r:.60} is the address of a Dask or Ray cluster; add --executor dask or ray."
            )
        if find_spec(LIBRARIES[self.kind]) is None:
            raise MissingExtraError(
                f'--executor {self.kind} needs a library that is not installed: pip install "foldsmith[{self.kind}]"'
            )

    def each(self, call: Callable[[Item], Outcome], items: Sequence[Item], folder: Path) -> Iterator[Outcome]:
        """`call` of every item, as the calls end; items are begun in their order.

        `folder` is one that all workers see. Large arrays reach them as read-only maps of files, so that k workers do
        not hold k copies. Raises WorkersLost where a worker was killed and its call could not be made elsewhere.
        """
        if not items:
            return iter(())
        if self.kind == LOCAL:
            return _locally(call, items, min(self.workers, len(items)))
        return _on_cluster(self, call, items, folder)


def _locally(call: Callable[[Item], Outcome], items: Sequence[Item], workers: int) -> Iterator[Outcome]:
    if workers == 1:
        yield from map(call, items)
        return
    from joblib import Parallel, delayed

    # Stopped by Ctrl-C, joblib warns about the tasks it dropped; that is what was asked for.
    warnings.filterwarnings("ignore", r"\d+ tasks ", UserWarning)
    # A worker whose memory has grown is replaced between calls; one that was killed raises BrokenExecutor.
    warnings.filterwarnings("ignore", "A worker stopped while some jobs", UserWarning)
    parallel = Parallel(n_jobs=workers, return_as="generator_unordered", batch_size=1, pre_dispatch="all")
    with _interrupts_kept_from_children():
        found: Iterable[Outcome] = parallel(delayed(_in_worker)(call, item, os.getpid()) for item in items)
    try:
        yield from found
    except BrokenExecutor as error:
        raise WorkersLost(type(error).__name__) from error


def _in_worker(call: Callable[[Item], Outcome], item: Item, parent: int) -> Outcome:
    _end_with(parent)
    return call(item)


_watched: set[int] = set()


def _end_with(parent: int) -> None:
    """End this worker when its parent has ended, however that happened: nobody would take its results."""
    if parent in _watched:
        return
    _watched.add(parent)

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(0.2)
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


@contextmanager
def _interrupts_kept_from_children() -> Iterator[None]:
    """Processes started here never see Ctrl-C, which a terminal sends to all: this process alone ends them."""
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _on_cluster(
    executor: Executor, call: Callable[[Item], Outcome], items: Sequence[Item], folder: Path
) -> Iterator[Outcome]:
    arrays = folder / f"_arrays.{secrets.token_hex(8)}"
    arrays.mkdir()
    run = _on_dask if executor.kind == DASK else _on_ray
    try:
        sender = _Sender(arrays)
        yield from run(executor, [sender.packed((call, item)) for item in items])
    finally:
        shutil.rmtree(arrays, ignore_errors=True)


def _on_dask(executor: Executor, packed: Sequence[bytes]) -> Iterator[Any]:
    import dask
    from distributed import Client, KilledWorker, LocalCluster, as_completed

    with ExitStack() as stack:
        stack.enter_context(dask.config.set({"distributed.scheduler.allowed-failures": RETRIES}))
        # Dask tells of every connection that ends with a worker; what matters is told by the result.
        stack.enter_context(_quiet("distributed"))
        with _interrupts_kept_from_children():
            where: Any = executor.cluster
            if where is None:
                where = stack.enter_context(
                    LocalCluster(
                        n_workers=executor.workers,
                        threads_per_worker=1,
                        # By itself Dask would kill a worker at a share of the memory.
                        memory_limit=0,
                        dashboard_address=":0",  # or its own, once, would be taken
                        silence_logs=logging.CRITICAL,
                    )
                )
            client = stack.enter_context(_connected(lambda: Client(where, timeout=PATIENCE), executor))
        try:
            for future in as_completed(client.map(_unpacked_call, packed, pure=False)):
                yield future.result()
        except KilledWorker as error:
            raise WorkersLost(type(error).__name__) from error


def _on_ray(executor: Executor, packed: Sequence[bytes]) -> Iterator[Any]:
    import ray

    os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")  # it warns where it is not set
    settings: dict[str, Any] = {"log_to_driver": False, "logging_level": logging.CRITICAL}
    if executor.cluster is None:
        settings |= {"address": "local", "num_cpus": executor.workers, "include_dashboard": False}
    else:
        settings["address"] = executor.cluster
        # Ray itself asks a host where nothing answers for six minutes.
        _connected(lambda: _knock(str(executor.cluster)), executor)
    with _interrupts_kept_from_children():
        _connected(lambda: ray.init(**settings), executor)
    try:
        remote = ray.remote(num_cpus=1, max_retries=RETRIES)(_unpacked_call)
        waiting = [remote.remote(task) for task in packed]
        while waiting:
            (done, *_), waiting = ray.wait(waiting, num_returns=1)
            yield ray.get(done)
    except (ray.exceptions.WorkerCrashedError, ray.exceptions.NodeDiedError) as error:
        raise WorkersLost(type(error).__name__) from error
    finally:
        ray.shutdown()


def _knock(address: str) -> None:
    """Open and close a connection to host:port; OSError where nothing answers. Other addresses are Ray's to find."""
    host, separator, port = address.removeprefix("ray://").rpartition(":")
    if separator and port.isdecimal():
        socket.create_connection((host, int(port)), timeout=PATIENCE).close()


def _connected(connect: Callable[[], Any], executor: Executor) -> Any:
    """What `connect` gives; MissingError where no cluster answers."""
    try:
        return connect()
    except (OSError, ValueError, RuntimeError) as error:
        if executor.cluster is None:
            raise
        raise MissingError(
            f"no {executor.kind} cluster answers at {executor.cluster!r:.80} "
            f"({' '.join(str(error).split())[:200]}); start it, or leave --cluster out to have one on this machine."
        ) from error


@contextmanager
def _quiet(name: str) -> Iterator[None]:
    """A library's log without anything below CRITICAL; its own level is put back."""
    log = logging.getLogger(name)
    before = log.level
    log.setLevel(logging.CRITICAL)
    try:
        yield
    finally:
        log.setLevel(before)


class _Sender:
    """Packs calls for workers; each large array is written once, however many calls see it."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._written: dict[int, tuple[npt.NDArray[Any], str]] = {}

    def packed(self, content: object) -> bytes:
        """The content as bytes for `_unpacked_call`, in which large arrays are names of files."""
        file = io.BytesIO()
        _Pickler(file, self._name).dump(content)
        return file.getvalue()

    def _name(self, value: object) -> str | None:
        if type(value) is not np.ndarray or value.nbytes < LARGE or value.dtype.hasobject:
            return None
        if id(value) not in self._written:
            path = self._folder / f"{len(self._written)}.npy"
            np.save(path, value, allow_pickle=False)
            # Held, so that no other array can get its identity.
            self._written[id(value)] = value, str(path)
        return self._written[id(value)][1]


class _Pickler(pickle.Pickler):
    def __init__(self, file: io.BytesIO, name: Callable[[object], str | None]) -> None:
        super().__init__(file, protocol=pickle.HIGHEST_PROTOCOL)
        self._name = name

    def persistent_id(self, value: object) -> str | None:
        return self._name(value)


class _Unpickler(pickle.Unpickler):
    def persistent_load(self, path: str) -> npt.NDArray[Any]:
        return np.asarray(np.load(path, mmap_mode="r", allow_pickle=False))


def _unpacked_call(packed: bytes) -> Any:
    """Make a call that `_Sender` packed; runs in a worker."""
    # Sent by the command itself over the cluster's own channel, and never read from a file.
    call, item = _Unpickler(io.BytesIO(packed)).load()
    return call(item)
