"""Phase 5: one counted look at a held-out segment."""

import sys

try:
    from foldsmith.cli.evaluate import evaluate
except ModuleNotFoundError as error:
    sys.exit(
        f"error: {error.name} is not installed here; run `make install`, then `source .venv/bin/activate`."
    )

if __name__ == "__main__":
    evaluate(prog_name="evaluate_model.py")
