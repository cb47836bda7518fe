"""`foldsmith audit splitters`: measure any splitter by the row numbers that it yields."""

from __future__ import annotations

from pathlib import Path

import click

from foldsmith.cli.command import (
    Command,
    check_outputs,
    chosen_dataset,
    open_workspace,
    refuse,
    say,
    workspace_option,
)
from foldsmith.errors import LeakError


@click.command("splitters", cls=Command)
@click.option(
    "--own",
    multiple=True,
    metavar="FILE.py:NAME",
    help="A splitter of your own, in a file of the workspace; can be given several times.",
)
@click.option("--dataset", metavar="ID", help="Dataset whose labels are taken.  [default: the newest]")
@click.option("--symbol", help="Symbol, where the workspace holds several.")
@click.option("--horizon", type=int, help="Horizon of the labels.  [default: the first of the dataset]")
@click.option("--made-up", is_flag=True, help="Take 600 made-up labels of 1 to 40 bars, and no dataset.")
@click.option("--n-splits", type=click.IntRange(2, 100), default=5, show_default=True, help="Folds.")
@click.option(
    "--gap",
    type=click.IntRange(0),
    help="Rows that splitters hold back that purge by rows.  [default: the horizon; 20 of made-up labels]",
)
@click.option(
    "--embargo",
    type=click.IntRange(0),
    default=0,
    show_default=True,
    help="Embargo after test rows, in bars.",
)
@click.option(
    "--json", "json_file", type=click.Path(path_type=Path), help="Write the table to this JSON file."
)
@click.option("--html", "page", type=click.Path(path_type=Path), help="Write the table to this page.")
@workspace_option
@click.pass_context
def splitters(
    ctx: click.Context,
    own: tuple[str, ...],
    dataset: str | None,
    symbol: str | None,
    horizon: int | None,
    made_up: bool,
    n_splits: int,
    gap: int | None,
    embargo: int,
    json_file: Path | None,
    page: Path | None,
    workspace_dir: Path,
) -> None:
    """Say which splitters leak: ours, those of scikit-learn, skfolio, purgedcv and mlfinpy if installed, and yours.

    Exit status 0 only if ours and your own keep training rows apart from test rows by their labels and the embargo.
    """
    check_outputs(json_file, page)
    workspace = open_workspace(workspace_dir)
    from foldsmith.audit.known_splitters import Setting
    from foldsmith.audit.splitters import counted
    from foldsmith.stages import audit_splitters as stage

    if made_up:
        refuse(ctx, ["dataset", "symbol", "horizon"], "made-up labels are of no dataset")
        labels, rows = stage.made_up_labels(), stage.MADE_UP_GAP
    else:
        from foldsmith.stages.horizon import load_recipe

        found_in = chosen_dataset(workspace, dataset, symbol)
        rows = horizon if horizon is not None else min(load_recipe(found_in).horizons)
        labels = stage.labels_of(found_in, rows)
    setting = Setting(labels, n_splits, rows if gap is None else gap, embargo)
    say(f"{labels.said}; {n_splits} folds, embargo {embargo} bars, purge by rows of {setting.gap}")
    found = stage.measure_splitters(workspace, setting, own, say)
    for path in stage.write_splitters(setting, found, json_file, page):
        say(f"wrote {path}")
    say(f"{len(found)} splitters: {counted(found)}")
    bad = stage.failed(found)
    if bad:
        raise LeakError(
            f"{len(bad)} of ours and your own were not seen to keep rows apart: "
            f"{'; '.join(f'{each.name} ({each.state})' for each in bad)}. What each leaks is said above."
        )
