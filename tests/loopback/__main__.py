"""Serve a hub on loopback with the kit published in it, until Ctrl-C, for people to try the project against."""

import argparse
import os
import signal
import subprocess
import sys
import threading
from contextlib import ExitStack
from pathlib import Path

from stages.params import load_params
from tests.loopback.server import READ_TOKEN, Hub


def main() -> int:
    """Publish build/, say how to use the hub, and wait; return how publishing ended."""
    parser = argparse.ArgumentParser(prog="python -m tests.loopback", description=__doc__)
    parser.add_argument("--root", type=Path, default=Path(".cache/hub"), help="its repositories (%(default)s)")
    parser.add_argument("--port", type=int, default=8642, help="(%(default)s)")
    parser.add_argument("--empty", action="store_true", help="publish nothing")
    options = parser.parse_args()
    stopped = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stopped.set())
    root = options.root.resolve()
    with ExitStack() as stack:
        try:
            hub = stack.enter_context(Hub(root, port=options.port))
        except OSError as error:
            print(f"hub: expected port {options.port} to be free, seen {error.strerror}; name another with --port")
            return 1
        settings = hub.environment(root / "home")
        if not options.empty:
            publish = [sys.executable, "-m", "stages.publish", "all"]
            if done := subprocess.run(publish, env={**os.environ, **settings}, check=False).returncode:
                return done
        print("\nA hub is up. In another terminal:\n")
        for name, value in settings.items():
            print(f"export {name}={value}")
        print(f"\nhf download {load_params(Path('params.yaml')).hub.repo} --local-dir published")
        print("python -m stages.publish all --dry-run")
        print("python -m stages.fetch --pin    # then set origin: hub in params.yaml, and dvc repro\n")
        print(f"{READ_TOKEN} is a token that may read only. Faults: tests/loopback/faults.py, for example")
        print(f'curl -d \'{{"kind": "status", "status": 503, "times": 2}}\' {hub.endpoint}/_faults')
        print("Ctrl-C ends it.", flush=True)
        stopped.wait()
    return 0


if __name__ == "__main__":
    sys.exit(main())
