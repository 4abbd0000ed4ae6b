#!/usr/bin/env bash
# SVT-AV1, opened by root, gives its threads and the thread that calls it the highest real-time priority.
#
# All threads that the encoder starts run under SCHED_FIFO with priority 99, above every usual thread of the machine.
# The thread that opened it does, too, still does when the encoder is closed, and every process that it starts from then
# on inherits that. On a machine of few cores everything else, also a shell, hardly runs any more.
#
# Seen with the libsvtav1 of PyAV 18.1.0 and Python 3.11.7 on Linux, as root:
#     before: caller SCHED_OTHER
#     open: caller SCHED_FIFO 99, 42 threads under SCHED_FIFO
#     closed: caller SCHED_FIFO 99
#     a process started then: SCHED_FIFO 99
# Exits 0 while that is so; other users may not raise priorities, so that there is nothing to see.
set -euo pipefail
if (($(id -u))); then
  echo "nothing to see: it needs root"
  exit 0
fi
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/python" -m pip install --quiet --disable-pip-version-check av==18.1.0
SVT_LOG=1 "$folder/venv/bin/python" - <<'EOF'
import os
import subprocess
import sys
from fractions import Fraction

import av

NAMES = {os.SCHED_OTHER: "SCHED_OTHER", os.SCHED_FIFO: "SCHED_FIFO"}


def scheduling(thread=0):
    policy = os.sched_getscheduler(thread)
    priority = os.sched_getparam(thread).sched_priority
    return NAMES.get(policy, str(policy)) + (f" {priority}" if priority else "")


before = scheduling()
encoder = av.CodecContext.create("libsvtav1", "w")
encoder.width, encoder.height, encoder.pix_fmt = 320, 240, "yuv420p"
encoder.time_base, encoder.framerate = Fraction(1, 30), Fraction(30)
encoder.open()
opened = scheduling()
threads = sum(scheduling(int(thread)).startswith("SCHED_FIFO") for thread in os.listdir("/proc/self/task"))
encoder.encode(None)
del encoder
closed = scheduling()
program = "import os; print(os.sched_getscheduler(0), os.sched_getparam(0).sched_priority)"
child = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout.split()
child = f"{NAMES[int(child[0])]} {child[1]}"
os.sched_setscheduler(0, os.SCHED_OTHER, os.sched_param(0))
print(f"before: caller {before}")
print(f"open: caller {opened}, {threads} threads under SCHED_FIFO")
print(f"closed: caller {closed}")
print(f"a process started then: {child}")
is_so = before == "SCHED_OTHER" and opened == closed == child == "SCHED_FIFO 99" and threads > 1
sys.exit(0 if is_so else "expected real-time threads, seen others: the behaviour has changed")
EOF
