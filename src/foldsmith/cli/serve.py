"""`foldsmith serve`: a trained model over HTTP."""

from __future__ import annotations

import contextlib
import ipaddress
import socket
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

import click

from foldsmith.cli.command import Command, format_option, open_workspace, say, workspace_option
from foldsmith.errors import FoldsmithError, MissingExtraError, SettingError

if TYPE_CHECKING:
    from foldsmith.stages.live import LiveModel

NEEDED = ("fastapi", "uvicorn")


@click.command(cls=Command)
@click.option("--run-id", required=True, help="Run id of a trained model.")
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen at.")
@click.option(
    "--port", type=click.IntRange(0, 65_535), default=8000, show_default=True, help="Port; 0 for a free one."
)
@click.option(
    "--warm-up",
    type=click.Path(path_type=Path),
    help="Bars to begin with, as in data/raw: a file or a folder.  [default: the first bars that are sent]",
)
@format_option
@click.option(
    "--runs-dir", type=click.Path(path_type=Path), help="Where models lie.  [default: experiments/runs]"
)
@workspace_option
def serve(
    run_id: str,
    host: str,
    port: int,
    warm_up: Path | None,
    file_format: str | None,
    runs_dir: Path | None,
    workspace_dir: Path,
) -> None:
    """Serve a model over HTTP: bars in, signals out; the same bits as `predict`. Ctrl-C ends it."""
    missing = [name for name in NEEDED if find_spec(name) is None]
    if missing:
        raise MissingExtraError(
            f'serve needs {missing[0]}, which is not installed: pip install "foldsmith[serve]"'
        )
    if file_format is not None and warm_up is None:
        raise SettingError("--format does not apply without --warm-up; leave it out.")
    workspace = open_workspace(workspace_dir)
    from foldsmith.stages.evaluate import open_model
    from foldsmith.stages.live import LiveModel

    model = LiveModel(
        workspace, open_model(workspace, run_id, workspace.runs if runs_dir is None else runs_dir)
    )
    if warm_up is not None:
        answer = model.read(warm_up, file_format)
        say(
            f"began with {answer.closed:,} bars of {model.recipe.timeframe}, {answer.signals.height:,} of them known"
        )
    _listen(model, host, port)


def _listen(model: LiveModel, host: str, port: int) -> None:
    """Answer requests until Ctrl-C or a signal to end."""
    import uvicorn

    from foldsmith.cli.http import application

    listener = _listener(host, port)
    if not ipaddress.ip_address(listener.getsockname()[0]).is_loopback:
        say("anyone who reaches this address can send bars: put what asks for a password in front of it")
    shown = f"[{host}]" if ":" in host else host
    say(f"serving run {model.run.id} at http://{shown}:{listener.getsockname()[1]} (Ctrl-C ends it)")
    settings = uvicorn.Config(
        application(model),
        log_level="warning",
        access_log=False,
        timeout_graceful_shutdown=5,
        limit_concurrency=64,
    )
    # The server ends by itself at Ctrl-C, and raises it again when it has.
    with contextlib.suppress(KeyboardInterrupt):
        uvicorn.Server(settings).run(sockets=[listener])
    say("ended")


def _listener(host: str, port: int) -> socket.socket:
    """A socket that listens already: whoever reads the line that says so may connect at once."""
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        # Without its number asyncio does not take the protocol for TCP, and answers wait 40 ms to be acknowledged.
        found = socket.socket(family, kind, protocol)
        found.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        found.bind(address)
        found.listen(64)
    except OSError as error:
        raise FoldsmithError(
            f"--host {host} --port {port} cannot be listened at ({error.strerror}); is another program there? Give "
            "another --port."
        ) from None
    return found
