cd /work/wt/graph; export PYTHONPATH=$PWD/src OMP_NUM_THREADS=1
timeout 550 /work/main/.venv/bin/python -m pytest -q -p no:cacheprovider --show-capture=no --basetemp /dev/shm/d "$@" > /tmp/t.log 2>&1; grep "^E  " /tmp/t.log | cut -c1-300 | sort | uniq -c | sort -rn | head -30; tail -3 /tmp/t.log
