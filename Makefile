# Two commands set everything up: `make demo` and `make test`. Only Python 3.11+, git and make are needed.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
PEERS := $(VENV)/.installed-peers
OPTIONAL := tests/models/test_sequence.py tests/audit/test_seal_windows.py \
	tests/workflow/test_sequences.py tests/evaluation/test_snooping.py tests/evaluation/test_walk.py \
	tests/workflow/test_serving.py tests/workflow/test_tracking.py tests/stages/test_tracking.py \
	tests/models/test_onnx_models.py tests/stages/test_onnx_model.py tests/workflow/test_export.py

# Markets of known truth are for `make proof` and `make audit-null`; known leaks are planted by the command itself.
LEAKS := tests/audit tests/properties --ignore=tests/audit/test_mutants.py $(addprefix --ignore=tests/properties/test_,\
	noise.py runs_at_once.py known_markets.py ensembles_on_markets.py verdicts.py)

.PHONY: demo test check proof audit audit-null crash-test bench install lock

$(STAMP): pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -e ".[dev,catboost]" -c constraints.txt
	touch $@

$(PEERS): $(STAMP)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -e ".[dev,catboost,ray,neural,stats,serve,onnx,tracking,peers]" -c constraints.txt
	touch $@

install: $(STAMP)  ## make the environment in .venv

demo: $(STAMP)  ## the whole workflow on a simulated market; leaves a report
	PATH="$(CURDIR)/$(BIN):$$PATH" bash scripts/demo.sh

test: $(STAMP)  ## the tests, some 9 minutes on 2 cores
	$(BIN)/python -m pytest -n 2 --dist loadgroup

check: $(STAMP)  ## lint, format, strict types, import layers
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

proof: $(PEERS)  ## the long statistical and end-to-end proofs, and tests of what is optional: Ray, torch, arch, another engine
	$(BIN)/python -m pytest -m proof -n 2 --dist loadgroup
	$(BIN)/python -m pytest $(OPTIONAL)

audit: $(STAMP)  ## the proofs of "nothing leaks", and the command `audit` on a simulated market and against known leaks
	$(BIN)/python -m pytest -m "proof or not proof" -n 2 --dist loadgroup $(LEAKS)
	PATH="$(CURDIR)/$(BIN):$$PATH" bash scripts/audit.sh

audit-null: $(STAMP)  ## some 430 markets of known truth: no edge where none is, an edge where one is; resumes
	mkdir -p demo
	$(BIN)/foldsmith audit null --keep demo/audit_null.jsonl --json demo/audit_null.json --html demo/audit_null.html

crash-test: $(STAMP)  ## kills, failing disks, crowds of writers, flipped bytes and spoilt files; needs Linux and a C compiler
	$(BIN)/python -m pytest -m crash -n 2 --dist loadgroup tests/crash tests/market/readers

bench: $(PEERS)  ## headline numbers, each against a named peer in the same run
	for script in benchmarks/*.py; do $(BIN)/python $$script || exit 1; done

lock:  ## pin the newest versions again, for every supported Python and system; needs uv
	uv pip compile --universal --upgrade --no-header --no-annotate --python-version 3.11 \
		--extra dev --extra catboost --extra ray --extra neural --extra stats --extra serve --extra onnx --extra tracking --extra peers pyproject.toml -o constraints.txt
