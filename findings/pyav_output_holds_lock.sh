#!/usr/bin/env bash
# PyAV holds Python's global lock while it opens an output and writes its header: no other thread runs meanwhile.
#
# `avio_open` and `avformat_write_header` are called with the lock, where `avformat_open_input` is called without. An
# address whose server accepts a connection and says nothing stops the whole process, and there is no time-out for it.
#
# Seen with PyAV 18.1.0 and Python 3.11.7 on Linux, x86-64, where a server answers nothing for two seconds:
#     while an input is opened the other thread counted to 150 or more, while an output is opened to 0 or 1
# Exits 0 while that is so.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/python" -m pip install --quiet --disable-pip-version-check --no-deps av==18.1.0
cd "$folder"
venv/bin/python - <<'EOF2'
import subprocess
import sys
import threading
import time

import av

SERVER = """
import socket, time
server = socket.create_server(("127.0.0.1", 0))
print(server.getsockname()[1], flush=True)
for _ in range(2):
    connection, _ = server.accept()
    time.sleep(2)
    connection.close()
"""


def counted(work):
    """Return how often another thread woke up while something was done, about 100 times a second if it may."""
    count, is_over = 0, threading.Event()

    def wake():
        nonlocal count
        while not is_over.wait(0.01):
            count += 1

    thread = threading.Thread(target=wake)
    thread.start()
    before = count
    try:
        work()
    except av.FFmpegError:
        pass
    after = count
    is_over.set()
    thread.join()
    return after - before


def write(address):
    """Open an output."""
    with av.open(address, "w", format="flv") as container:
        stream = container.add_stream("flv1", rate=25)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        container.start_encoding()


with subprocess.Popen([sys.executable, "-c", SERVER], stdout=subprocess.PIPE, text=True) as server:
    address = f"rtmp://127.0.0.1:{server.stdout.readline().strip()}/live/key"
    reading = counted(lambda: av.open(address, timeout=10))
    time.sleep(0.1)
    writing = counted(lambda: write(address))
print(f"while an input is opened the other thread counted to {reading}, while an output is opened to {writing}")
sys.exit(not (reading > 50 and writing < 5))
EOF2
