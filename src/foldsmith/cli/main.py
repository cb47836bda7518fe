"""`foldsmith`: every command of the workflow."""

from __future__ import annotations

import click

import foldsmith
from foldsmith.cli.audit import audit
from foldsmith.cli.cv import cv
from foldsmith.cli.drift import drift
from foldsmith.cli.evaluate import evaluate
from foldsmith.cli.export import export
from foldsmith.cli.features import features
from foldsmith.cli.models import models
from foldsmith.cli.pipeline import pipeline
from foldsmith.cli.predict import predict
from foldsmith.cli.remake import reproduce
from foldsmith.cli.runs import runs
from foldsmith.cli.serve import serve
from foldsmith.cli.simulate import simulate
from foldsmith.cli.standings import compare, leaderboard
from foldsmith.cli.train import train


@click.group()
@click.version_option(foldsmith.__version__, prog_name="foldsmith")
def main() -> None:
    """From raw futures bars to a tested trading model whose out-of-sample numbers can be believed.

    pipeline run -> cv -> train -> evaluate; see README.md for the whole workflow.
    """


runs.add_command(reproduce)
for command in (
    simulate,
    pipeline,
    cv,
    train,
    evaluate,
    predict,
    features,
    models,
    runs,
    audit,
    compare,
    leaderboard,
    serve,
    drift,
    export,
):
    main.add_command(command)
