#!/usr/bin/env bash
# Phases 1 to 5 on a simulated market with a planted edge, in a new workspace below demo/.
set -euo pipefail
root=$(cd "$(dirname "$0")/.." && pwd)
workspace="$root/demo/$(date -u +%Y%m%d_%H%M%S)_$$"
mkdir -p "$workspace"
cd "$workspace"

show() { printf '\n$ %s\n' "$*"; "$@"; }
value() { sed -n "s/^$1: //p" "$2" | tail -n 1; }

show foldsmith simulate --symbol MES --sessions 200 --edge 0.05 --seed 7
show "$root/pipeline" run --symbols MES --horizons 10,20
show python "$root/scripts/train_model.py" --model xgboost --horizon 20
show python "$root/scripts/run_cv.py" --models xgboost,lightgbm --horizons 20 --n-splits 5 --tune --n-trials 5 | tee cv.log
show python "$root/scripts/train_model.py" --model stacking --horizon 20 --stacking-data "$(value 'CV Run ID' cv.log)" \
    --meta-learner logistic | tee train.log
show python "$root/scripts/evaluate_model.py" --run-id "$(value 'Run ID' train.log)" --split test | tee evaluate.log
printf '\nWorkspace: %s\nReport:    %s\n' "$workspace" "$workspace/$(value Report evaluate.log)"
