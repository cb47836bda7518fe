"""Phases 2 and 4: train one base model, or an ensemble."""

import sys

try:
    from foldsmith.cli.train import train
except ModuleNotFoundError as error:
    sys.exit(
        f"error: {error.name} is not installed here; run `make install`, then `source .venv/bin/activate`."
    )

if __name__ == "__main__":
    train(prog_name="train_model.py")
