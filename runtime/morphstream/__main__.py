"""The command `morphstream`: boot, swap, doctor."""

import argparse
import os
import sys
import time
from pathlib import Path

from morphstream.artifact.errors import MorphstreamError, NoFaceError
from morphstream.store.boot import boot
from morphstream.store.store import Store

SWAP_MODEL = "inswapper_128_fp16"


def main(arguments: list[str] | None = None) -> int:
    """Run a command; return 0 done, 1 refused in one line on stderr, 2 wrong usage."""
    parser = _parser()
    options = parser.parse_args(arguments)
    try:
        return int(options.run(options))
    except (MorphstreamError, OSError) as error:
        print(f"morphstream {options.command}: {' '.join(str(error).split())}", file=sys.stderr)
        return 1
    except argparse.ArgumentTypeError as error:
        parser.error(str(error))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="morphstream", description="Boot verified artifacts and swap faces.")
    commands = parser.add_subparsers(dest="command", required=True)

    command = commands.add_parser("boot", help="put the engines for this machine into a store")
    command.add_argument("--target", default="auto", help="auto, a name such as cpu or rtx-sm89, or a cache key")
    command.add_argument("--source", help="folder of the published layout (MORPHSTREAM_SOURCE, else build)")
    command.set_defaults(run=_boot)

    command = commands.add_parser("swap", help="swap every face of a picture")
    command.add_argument("source", type=Path, help="picture of the face to put in; its owner must have agreed")
    command.add_argument("target", type=Path, help="picture whose faces are swapped; so must they")
    command.add_argument("-o", "--output", type=Path, required=True, help="picture to write, marked as synthetic")
    command.add_argument("--swap-model", default=SWAP_MODEL, help="such as hyperswap_1a_256 (%(default)s)")
    command.set_defaults(run=_swap)

    command = commands.add_parser("doctor", help="say what this machine and its store can do, and what is missing")
    command.set_defaults(run=_doctor)

    for command in commands.choices.values():
        command.add_argument(
            "--store",
            type=Path,
            default=Path(os.environ.get("MORPHSTREAM_STORE") or "store"),
            help="folder of verified artifacts (MORPHSTREAM_STORE, else store)",
        )
    return parser


def _boot(options: argparse.Namespace) -> int:
    try:
        report = boot(options.store, target=options.target, source=options.source)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None
    print(report)
    return 0


def _swap(options: argparse.Namespace) -> int:
    from morphstream.face.swapper import FaceSwapper  # here, so that help is quick
    from morphstream.media.image import check_output, read_image, write_image

    check_output(options.output)
    source, target = read_image(options.source), read_image(options.target)
    start = time.perf_counter()
    with FaceSwapper.open(options.store, swap_model=options.swap_model) as swapper:
        opened = time.perf_counter()
        try:
            identity = swapper.identify(source)
        except NoFaceError as error:
            raise NoFaceError(f"{options.source}: {error}") from None
        faces = swapper.detect(target)
        if not faces:
            raise NoFaceError(f"{options.target}: expected a face to swap, seen none; use a picture that shows one")
        detected = time.perf_counter()
        frame = swapper.swap(target, identity, faces)
    done = time.perf_counter()
    write_image(options.output, frame)
    steps = f"open {opened - start:.2f} s, detect {detected - opened:.2f} s, swap {done - detected:.2f} s"
    print(f"{options.output}: {len(faces)} faces found, {len(faces)} swapped with {options.swap_model}; {steps}")
    return 0


def _doctor(options: argparse.Namespace) -> int:
    from morphstream.store.doctor import diagnose
    from morphstream.store.machine import probe_machine

    diagnosis = diagnose(Store(options.store), probe_machine())
    print(diagnosis)
    return 0 if diagnosis.is_usable else 1


if __name__ == "__main__":
    sys.exit(main())
