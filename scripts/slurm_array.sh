#!/bin/bash
# A sweep as a Slurm job array: every point is one `mdlite run` of its own, which a time limit may stop and the next submission goes on with.
#
#   mdlite sweep sweep.toml -o out --prepare          # writes out/points/00000 ...
#   mdlite precompile                                 # once, so that the jobs do not all compile
#   sbatch --array=0-199 scripts/slurm_array.sh out   # again after a time limit: what is done is left alone
#   mdlite collect out                                # results.nc, results.csv
#
# More points than a cluster lets into one array: --array=0-9 with STRIDE=10 in the environment gives every job the points n, n + 10, n + 20 ...
#SBATCH --job-name=mdlite
#SBATCH --ntasks=1
#SBATCH --cpus-per-task=1
#SBATCH --time=01:00:00
#SBATCH --signal=B:TERM@120
set -euo pipefail

folder=${1:?give the folder of a sweep, made by: mdlite sweep SWEEP.toml -o DIR --prepare}
first=${SLURM_ARRAY_TASK_ID:?is set by Slurm; submit with sbatch --array=0-N}
stride=${STRIDE:-1000000}
[ -f "$folder/manifest.json" ] || { echo "$folder: is not the folder of a sweep" >&2; exit 2; }
child='' status=0
export NUMBA_NUM_THREADS=${SLURM_CPUS_PER_TASK:-1}
trap 'kill -TERM $child 2>/dev/null || true; wait $child || true; exit 143' TERM # two minutes before the end: write a checkpoint

for ((n = 10#$first; ; n += stride)); do
    point=$folder/points/$(printf %05d "$n")
    [ -f "$point/point.toml" ] || break
    mdlite run "$point/point.toml" -o "$point/run.h5" --resume --quiet &
    child=$!
    wait "$child" || { status=$?; echo "$point: exit code $status" >&2; }
done
exit "$status"
