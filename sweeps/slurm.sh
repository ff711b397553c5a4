#!/usr/bin/env bash
# Run a sweep as a Slurm array. Its tasks are runs of their own that meet only in the storage, a folder that all nodes mount.
# Give options of sbatch, then --, then those of `python -m sweeps run`:
#
#   sweeps/slurm.sh --array=1-8 --time=4:00:00 --cpus-per-task=4 --gpus=1 -- existence --profile paper
#
# LIP_WARNING seconds (default 600) before its time limit a task begins no other fit and publishes those in training. If fits
# are left, it queues itself again, at most LIP_RESTARTS times (default 50).
set -euo pipefail
warning=${LIP_WARNING:-600}

refuse() {
  echo "error: $1" >&2
  exit 2
}

if [[ -z ${LIP_SUBMITTED:-} ]]; then  # on the login node
  options=()
  while [[ $# -gt 0 && $1 != -- ]]; do options+=("$1"); shift; done
  [[ $# -gt 1 ]] || refuse "no sweep is named; give options of sbatch, then --, then those of \`python -m sweeps run\`"
  command -v sbatch > /dev/null || refuse "there is no sbatch here; submit from a login node of Slurm"
  shift
  export LIP_STORAGE=${LIP_STORAGE:-results} LIP_SUBMITTED=.submitted-$$-$RANDOM
  if [[ $LIP_STORAGE != *://* ]]; then
    mkdir -p "$LIP_STORAGE"
    LIP_STORAGE=$(realpath "$LIP_STORAGE")
    touch "$LIP_STORAGE/$LIP_SUBMITTED"
  fi
  exec sbatch --job-name=lip --requeue --open-mode=append --signal="B:USR1@$warning" "${options[@]}" "$0" "$@"
fi

[[ $LIP_STORAGE == *://* || -e $LIP_STORAGE/$LIP_SUBMITTED ]] ||
  refuse "storage $LIP_STORAGE on $SLURMD_NODENAME is not that of the login node; set LIP_STORAGE to a folder that all nodes mount"
[[ ${SLURM_GPUS_ON_NODE:-0} == 0 || $(python -c 'import torch; print(torch.cuda.is_available())') == True ]] ||
  refuse "Slurm gives this job $SLURM_GPUS_ON_NODE GPUs on $SLURMD_NODENAME, but PyTorch sees none; leave the node out (--exclude)"
budget=()
if end=$(date -d "$(squeue -h -j "$SLURM_JOB_ID" -o %e)" +%s 2> /dev/null); then  # else there is no time limit
  left=$((end - $(date +%s)))
  ((left > warning)) ||
    refuse "this job ends in $left seconds, of which $warning are for publishing; give a longer --time, or lower LIP_WARNING"
  budget=(--hours "$((left / 36))e-2")
fi

python -m sweeps run "$@" "${budget[@]}" &
run=$!
trap 'kill -USR1 $run' USR1
trap 'kill -TERM $run' TERM
while wait $run && status=0 || status=$?; kill -0 $run 2> /dev/null; do :; done  # a signal ends wait, but not the run
if ((status == 3 && ${SLURM_RESTART_COUNT:-0} < ${LIP_RESTARTS:-50})); then
  scontrol requeue "$SLURM_JOB_ID"
fi
exit $status
