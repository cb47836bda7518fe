"""Many processes that make runs in one folder at once, by a clock and a random source that stand still.

    python -m tests.crash.writers WRITERS EACH INSTANTS REPORT WORKSPACE...

Every writer reaches the workspace by one of the given paths and makes EACH runs. The clock shows INSTANTS instants one
after the other, the same to all: at each, every writer wants the same ids. What was made is written to REPORT.
"""

from __future__ import annotations

import json
import sys
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path

from tests.runs.made_runs import FROZEN, in_processes, make_run

from foldsmith.runs.claim import claim
from foldsmith.runs.store import Workspace

SECONDS = 500.0


def _instant(number: int) -> datetime:
    return FROZEN + timedelta(microseconds=number)


def main() -> None:
    """Start the writers and report `[id, text in the run]` of every run that they say they made."""
    writers, each, instants = map(int, sys.argv[1:4])
    paths = [Workspace(Path(path)) for path in sys.argv[5:]]

    def work(number: int) -> str:
        workspace = paths[number % len(paths)]
        made = []
        for turn in range(each):
            text = f"by {number} in turn {turn}"
            clock = partial(_instant, turn * instants // each)
            with claim(workspace.runs, clock=clock, entropy=lambda: 0xFFF0) as claimed:
                make_run(workspace, claimed, text)
            made.append([claimed.id, text])
        return json.dumps(made)

    found = in_processes(writers, work, seconds=SECONDS)
    made = [entry for text in found for entry in json.loads(text)]
    Path(sys.argv[4]).write_text(json.dumps(made))


if __name__ == "__main__":
    main()
