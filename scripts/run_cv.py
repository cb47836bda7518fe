"""Phase 3: cross-validate models and store their out-of-fold predictions."""

import sys

try:
    from foldsmith.cli.cv import cv
except ModuleNotFoundError as error:
    sys.exit(
        f"error: {error.name} is not installed here; run `make install`, then `source .venv/bin/activate`."
    )

if __name__ == "__main__":
    cv(prog_name="run_cv.py")
