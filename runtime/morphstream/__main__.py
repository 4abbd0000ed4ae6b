"""The command `morphstream`: boot, download, deploy, swap, doctor, serve-health."""

import argparse
import logging
import os
import re
import signal
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from morphstream.artifact.errors import MorphstreamError, NoFaceError
from morphstream.artifact.vocabulary import DEPLOY_TAGS, GROUPS, SWAP_MODEL
from morphstream.boot.boot import boot
from morphstream.boot.build import Builder
from morphstream.store.store import Store

if TYPE_CHECKING:
    from morphstream.face.look import Look


def main(arguments: list[str] | None = None) -> int:
    """Run a command; return 0 done, 1 refused in one line on stderr, 2 wrong usage, 130 ended by Ctrl-C."""
    parser = _parser()
    options = parser.parse_args(arguments)
    try:
        return int(options.run(options))
    except (MorphstreamError, OSError) as error:
        own = error.strerror if isinstance(error, OSError) and error.filename is None else None
        print(f"morphstream {options.command}: {' '.join(str(own or error).split())}", file=sys.stderr)
        return 1
    except argparse.ArgumentTypeError as error:
        parser.error(str(error))
    except KeyboardInterrupt:
        return 128 + signal.SIGINT


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="morphstream", description="Boot verified artifacts and swap faces.")
    commands = parser.add_subparsers(dest="command", required=True)

    command = commands.add_parser("boot", help="put the engines for this machine into a store")
    command.add_argument(
        "--target", default="auto", help="auto, a name such as cpu, cpu-bf16 or rtx-sm89, or a cache key"
    )
    command.add_argument(
        "--source", help="folder of the published layout, or hub:ORG/REPO[@REV] (MORPHSTREAM_SOURCE, else build)"
    )
    command.add_argument("--verify", action="store_true", help="compute every digest of what the store holds")
    command.add_argument("--offline", action="store_true", help="ask no source that isn't on this machine")
    command.add_argument("--update", action="store_true", help="ask them also when the store has engines to run")
    command.add_argument("--groups", help="of models that there must be, such as core,masks,inswapper_128 (all)")
    command.add_argument(
        "--build", type=Path, metavar="FOLDER", help="of the pipeline, whose builder makes what nobody has published"
    )
    command.add_argument("--contribute", metavar="ORG/REPO", default="", help="publish there what was built")
    command.add_argument("--json", action="store_true", help="report as JSON, each step with its seconds and reason")
    command.set_defaults(run=_boot)

    command = commands.add_parser("download", help="add the engines of models to a store, where they aren't there yet")
    command.add_argument("models", nargs="+", metavar="MODEL", help="such as hyperswap_1a_256")
    command.add_argument("--source", help="as of boot (MORPHSTREAM_SOURCE, else build); several with commas between")
    command.add_argument(
        "--budget", type=_bytes, help="of all engines, such as 2GiB; swap models used least recently are evicted (none)"
    )
    command.set_defaults(run=_download)

    command = commands.add_parser("swap", help="swap every face of a picture")
    command.add_argument("source", type=Path, help="picture of the face to put in; its owner must have agreed")
    command.add_argument("target", type=Path, help="picture whose faces are swapped; so must they")
    command.add_argument("-o", "--output", type=Path, required=True, help="picture to write, marked as synthetic")
    _add_swap_options(command)
    command.set_defaults(run=_swap)

    command = commands.add_parser("doctor", help="say what this machine and its store can do, and what is missing")
    command.set_defaults(run=_doctor)

    command = commands.add_parser("serve-health", help="open a store's engines, and say over HTTP whether it is ready")
    command.add_argument("--host", default="127.0.0.1", help="to listen on, or to ask (%(default)s)")
    command.add_argument("--port", type=_port, default=9300, help="0 for any that is free (%(default)s)")
    command.add_argument("--swap-model", default=SWAP_MODEL, help="such as hyperswap_1a_256 (%(default)s)")
    command.add_argument("--probe", action="store_true", help="ask the one that is running: 0 where it is ready")
    command.set_defaults(run=_serve_health)

    command = commands.add_parser("deploy", help="switch to a tag's code, once it is verified and its check passes")
    command.add_argument("tag", choices=DEPLOY_TAGS, help="of deploy/TAG/app_code.tar.zst")
    command.add_argument("--source", help="as of boot (MORPHSTREAM_SOURCE, else build); several with commas between")
    command.add_argument("--into", type=Path, required=True, help="folder of releases, with a link current")
    command.add_argument("--check", default="", metavar="COMMAND", help="ends with 0 in a release that works")
    command.add_argument("--timeout", type=float, default=60.0, help="seconds in which it must end (%(default)s)")
    command.set_defaults(run=_deploy)

    for command in commands.choices.values():
        command.add_argument(
            "--store",
            type=Path,
            default=Path(os.environ.get("MORPHSTREAM_STORE") or "store"),
            help="folder of verified artifacts (MORPHSTREAM_STORE, else store)",
        )
    return parser


def _add_swap_options(command: argparse.ArgumentParser) -> None:
    command.add_argument("--swap-model", default=SWAP_MODEL, help="such as hyperswap_1a_256 (%(default)s)")
    command.add_argument(
        "--masks",
        default="box,occlusion,own",
        help="what the new face is seen through, of box, occlusion, regions and own, the swap model's (%(default)s)",
    )
    command.add_argument("--feather", type=float, help="over what part of the crop's side a box fades, 0..0.5 (0.08)")
    command.add_argument("--occluder", help="xseg_1, xseg_2, xseg_3, or many for what all see (xseg_1)")
    command.add_argument("--regions", help="parts of the face, such as skin,nose,mouth (those of the whole face)")
    command.add_argument("--parser", help="bisenet_resnet_34 or bisenet_resnet_18 (bisenet_resnet_34)")
    command.add_argument("--pixel-boost", type=int, metavar="SIDE", help="swap at 256, 384 or 512 pixels a side")
    command.add_argument("--landmarker", choices=("2dfan4", "fan_68_5"), help="align faces by 68 points (no)")
    command.add_argument("--restorer", choices=("gfpgan",), help="sharpen the swapped faces (no)")
    command.add_argument("--threads", type=int, default=0, help="threads to run on (all that are there)")


def _look(options: argparse.Namespace) -> "Look":
    """Return the look that options name.

    Raises:
        ArgumentTypeError: A value is none.
    """
    from morphstream.face.look import FACE_REGIONS, Look

    kinds = set(options.masks.split(","))
    if odd := sorted(kinds - {"box", "occlusion", "regions", "own"}):
        raise argparse.ArgumentTypeError(f"--masks: expected box, occlusion, regions or own, seen {', '.join(odd)}")
    changes: dict[str, Any] = {name: getattr(options, name) for name in ("pixel_boost", "landmarker", "restorer")}
    changes["own"] = "own" in kinds
    if "box" not in kinds:
        changes["feather"] = 0.0
    elif options.feather is not None:
        changes["feather"] = options.feather
    if options.occluder or "occlusion" not in kinds:
        changes["occluder"] = options.occluder
    if options.regions or options.parser or "regions" in kinds:
        changes["regions"] = frozenset(options.regions.split(",")) if options.regions else FACE_REGIONS
    if options.parser:
        changes["parser"] = options.parser
    try:
        return Look(**changes)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def _boot(options: argparse.Namespace) -> int:
    logging.basicConfig(format="%(name)s: %(message)s", level=logging.INFO)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))  # so that a builder ends with it
    groups = _several(options.groups)
    if odd := sorted({*(groups or ())} - {*GROUPS}):
        raise argparse.ArgumentTypeError(f"--groups: expected some of {', '.join(GROUPS)}, seen {', '.join(odd)}")
    if options.contribute and not options.build:
        raise argparse.ArgumentTypeError("--contribute: expected --build, whose engines are published, seen none")
    try:
        report = boot(
            options.store,
            target=options.target,
            source=_several(options.source),
            groups=groups,
            verify=options.verify,
            offline=options.offline,
            update=options.update,
            builder=Builder(options.build, options.contribute) if options.build else None,
        )
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None
    print(report.to_json() if options.json else report)
    return 0


def _download(options: argparse.Namespace) -> int:
    from morphstream.boot.service import ModelDownloadService  # here, so that the other commands don't load it

    try:
        with ModelDownloadService(options.store, _several(options.source), budget_bytes=options.budget) as service:
            for download in [service.request(model) for model in options.models]:
                print(download.result())
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None
    return 0


def _deploy(options: argparse.Namespace) -> int:
    from morphstream.deploy.deploy import Check, deploy  # here, so that the other commands don't load it
    from morphstream.source.named import sources_of

    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))  # so that its check ends with it
    try:
        sources = sources_of(_several(options.source))
        check = Check.parse(options.check, options.timeout)
        print(deploy(options.tag, options.into, sources, check=check))
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None
    return 0


def _swap(options: argparse.Namespace) -> int:
    from morphstream.media.image import check_output, read_image, write_image  # here, so that help is quick
    from morphstream.pipeline import SwapPipeline

    look = _look(options)
    check_output(options.output)
    source, target = read_image(options.source), read_image(options.target)
    start = time.perf_counter()
    with SwapPipeline(options.store, swap_model=options.swap_model, look=look, threads=options.threads) as swapper:
        opened = time.perf_counter()
        try:
            identity = swapper.identify(source)
        except NoFaceError as error:
            raise NoFaceError(f"{options.source}: {error}") from None
        faces = swapper.detect(target)
        if not faces:
            raise NoFaceError(f"{options.target}: expected a face to swap, seen none; use a picture that shows one")
        detected = time.perf_counter()
        try:
            frame = swapper.swap(target, identity, faces=faces)
        except ValueError as error:
            raise argparse.ArgumentTypeError(f"--pixel-boost: {error}") from None
    done = time.perf_counter()
    write_image(options.output, frame)
    steps = f"open {opened - start:.2f} s, detect {detected - opened:.2f} s, swap {done - detected:.2f} s"
    print(f"{options.output}: {len(faces)} faces found, {len(faces)} swapped with {options.swap_model}; {steps}")
    return 0


def _doctor(options: argparse.Namespace) -> int:
    from morphstream.boot.doctor import diagnose
    from morphstream.machine.probe import probe_machine

    diagnosis = diagnose(Store(options.store), probe_machine())
    print(diagnosis)
    return 0 if diagnosis.is_usable else 1


def _several(text: str | None) -> list[str] | None:
    """Return what an option names, with commas between several; None where it isn't given."""
    return [part.strip() for part in text.split(",") if part.strip()] if text else None


def _bytes(text: str) -> int:
    found = re.fullmatch(r"([0-9]+)(|[KMG]iB)", text)
    if not found:
        raise argparse.ArgumentTypeError(f"expected bytes such as 500MiB, seen {text!r}")
    return int(found[1]) << {"": 0, "KiB": 10, "MiB": 20, "GiB": 30}[found[2]]


def _port(text: str) -> int:
    if not (text.isdecimal() and int(text) < 65536):
        raise argparse.ArgumentTypeError(f"expected 0 to 65535, seen {text!r}")
    return int(text)


def _serve_health(options: argparse.Namespace) -> int:
    if options.probe:
        from morphstream.health.probe import probe  # here, so that help is quick

        probe(options.host, options.port)
    else:
        from morphstream.health.serve import serve

        report = os.environ.get("MORPHSTREAM_BOOT_REPORT")
        serve(
            options.store,
            swap_model=options.swap_model,
            host=options.host,
            port=options.port,
            boot_report=Path(report) if report else None,
        )
    return 0


if __name__ == "__main__":
    sys.exit(main())
