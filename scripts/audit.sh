#!/usr/bin/env bash
# All that `foldsmith audit` proves, on a simulated market in a new workspace below demo/; then the test of the audit itself.
set -euo pipefail
root=$(cd "$(dirname "$0")/.." && pwd)
workspace="$root/demo/audit_$(date -u +%Y%m%d_%H%M%S)_$$"
mkdir -p "$workspace"
cd "$workspace"

show() { printf '\n$ %s\n' "$*"; "$@"; }

show foldsmith simulate --symbol MES --sessions 60 --edge 0.05 --seed 7
show foldsmith pipeline run --symbols MES --horizons 10
show foldsmith cv --models lightgbm,logistic --horizons 10 --n-splits 3 --output-name audited
show foldsmith train --model stacking --horizon 10 --stacking-data audited --meta-learner logistic
show foldsmith audit --all --html audit.html --json audit.json
show foldsmith audit --mutants --html mutants.html --json mutants.json
printf '\nPages: %s\n       %s\n' "$workspace/audit.html" "$workspace/mutants.html"
