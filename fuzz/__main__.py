"""fuzz TARGET [SECONDS]: run a target for some seconds; without a target, all of them one after the other."""

import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

import atheris

_CORPUS = Path(__file__).parent / "corpus"
_SECONDS, _TIMEOUT_S, _MEMORY_MIB, _MOST_BYTES = 60, 5, 2048, 1 << 16


def main() -> int:
    """Run what the command line names; return 1 if something was found."""
    with atheris.instrument_imports(include=["morphstream", "stages", "fuzz"]):
        from fuzz.seeds import seeds_of
        from fuzz.targets import TARGETS

        names, seconds = sys.argv[1:2] or [""], sys.argv[2] if len(sys.argv) > 2 else str(_SECONDS)
        seeds = seeds_of(names[0]) if names[0] in TARGETS else []
        for data in seeds:  # what a target imports when it is called is instrumented, too, and not timed
            TARGETS[names[0]](data)
    if seeds:
        return _run(names[0], int(seconds), TARGETS[names[0]], seeds)
    if names[0]:
        print(f"fuzz: expected one of {', '.join(TARGETS)}, seen {names[0]!r}; name one of these", file=sys.stderr)
        return 2
    failed = [
        name
        for name in TARGETS
        if subprocess.run([sys.executable, "-m", "fuzz", name, seconds], check=False).returncode
    ]
    print(f"fuzz: {len(TARGETS) - len(failed)} of {len(TARGETS)} targets without a fault", *failed)
    return int(bool(failed))


def _run(name: str, seconds: int, target: Callable[[bytes], object], seeds: Sequence[bytes]) -> int:
    """Run one target in this process, which ends with it."""
    folder = Path(tempfile.mkdtemp(prefix=f"fuzz-{name}-"))
    for number, data in enumerate(seeds):
        (folder / f"seed-{number}").write_bytes(data)
    kept = _CORPUS / name
    limits = [f"-max_total_time={seconds}", f"-timeout={_TIMEOUT_S}", f"-rss_limit_mb={_MEMORY_MIB}"]
    options = [*limits, f"-max_len={_MOST_BYTES}", f"-artifact_prefix={folder}/found-", "-print_final_stats=1"]
    atheris.Setup([sys.argv[0], *options, str(folder), *([str(kept)] if kept.is_dir() else [])], target)
    print(f"fuzz {name}: {seconds} s; what is found is in {folder}", flush=True)
    atheris.Fuzz()
    return 0


if __name__ == "__main__":
    sys.exit(main())
