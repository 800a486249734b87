#!/bin/bash
# Ray over the nodes of a Slurm job, and a study on it:
#   sbatch --export=ALL,STUDY=$PWD/study.toml,SHARED=/shared/me examples/cluster/slurm.sh
# SHARED is a folder that all nodes see, with the Python environment in SHARED/venv. Submitted again, the run goes on.
#SBATCH --job-name=decoct
#SBATCH --nodes=4
#SBATCH --ntasks-per-node=1
#SBATCH --cpus-per-task=16
#SBATCH --gpus-per-node=4
#SBATCH --exclusive
#SBATCH --requeue
#SBATCH --time=12:00:00
set -euo pipefail

: "${STUDY:?path of a study}" "${SHARED:?folder that all nodes see}"
source "$SHARED/venv/bin/activate"
export DECOCT_STORE="$SHARED/decoct" # data sets, decoded once
export RAY_AUTH_MODE=token           # other users of these nodes shall not send tasks to this Ray
RAY_AUTH_TOKEN=$(python -c "import secrets; print(secrets.token_hex(32))")
export RAY_AUTH_TOKEN

head=$(scontrol show hostnames "$SLURM_JOB_NODELIST" | head -n 1)
ip=$(srun --overlap --nodes=1 --ntasks=1 --nodelist="$head" hostname --ip-address | awk '{print $1}')
address="$ip:$((20000 + SLURM_JOB_ID % 20000))"
resources=(--num-cpus="$SLURM_CPUS_PER_TASK" --num-gpus="${SLURM_GPUS_ON_NODE:-0}" --disable-usage-stats --block)

srun --overlap --nodes=1 --ntasks=1 --nodelist="$head" \
  ray start --head --node-ip-address="$ip" --port="${address##*:}" --include-dashboard=false "${resources[@]}" &
for _ in $(seq 60); do
  ray status --address "$address" >/dev/null 2>&1 && break
  sleep 2
done
if ((SLURM_JOB_NUM_NODES > 1)); then
  srun --overlap --nodes=$((SLURM_JOB_NUM_NODES - 1)) --ntasks=$((SLURM_JOB_NUM_NODES - 1)) --exclude="$head" \
    ray start --address="$address" "${resources[@]}" &
fi

device=cpu
((${SLURM_GPUS_ON_NODE:-0} > 0)) && device=cuda
decoct run "$STUDY" --on ray --address "$address" --device "$device" --out "$SHARED/runs/$(basename "$STUDY" .toml)"
