"""The options of a live swap: where frames come from and go to, and whom a page is served to."""

import argparse
import re
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from morphstream.artifact.vocabulary import SWAP_MODEL
from morphstream.cli.choice import add_choice
from morphstream.cli.look import add_look
from morphstream.cli.options import (
    UsageError,
    add_max_pixels,
    add_source,
    add_threads,
    checked,
    number,
    whole_number,
)
from morphstream.cli.signing import add_signing
from morphstream.cli.videos import add_tracking

if TYPE_CHECKING:
    from morphstream.face.track import Tracking
    from morphstream.live.options import PageOptions

_OF_FACES = ("map", "target_face", "threshold")  # not with a page, whose user clicks faces
_OF_WAYS = ("to", "overwrite", "detect_every", "smooth", "no_tracking")  # nor these
_OF_PAGE = ("host", "port", "name", "certificate", "key", "ice_server", "most_sessions")
_ADDRESS = re.compile(r"(?:(?:\[([0-9A-Fa-f:.]+)\]|([^:\[\]]+)):)?([0-9]{1,5})")


def add_live(parser: argparse.ArgumentParser) -> None:
    """Add the options of ``morphstream live``."""
    text = "pictures of faces to put in, whose owners must have agreed; a page has them for everybody who opens it"
    parser.add_argument("paths", type=Path, nargs="*", metavar="source", help=text)
    _add_ways(parser)
    parser.add_argument("--swap-model", default=SWAP_MODEL, help="such as hyperswap_1a_256 (%(default)s)")
    text = "don't say in the picture that it is synthetic, which is logged"
    parser.add_argument("--no-visible-mark", action="store_true", help=text)
    text = "answer /livez, /readyz and /metrics there, such as 127.0.0.1:9300; 127.0.0.1 where there is a port alone"
    parser.add_argument("--health", type=checked(_read_address), metavar="HOST:PORT", help=text)
    add_signing(parser)
    add_threads(parser)
    _add_page(parser)
    add_max_pixels(parser)
    add_choice(parser)
    add_look(parser)
    add_tracking(parser)


def _add_ways(parser: argparse.ArgumentParser) -> None:
    text = (
        "camera, camera:1, /dev/video1, a file, or a URL of rtsp, rtmp or http (camera; with --page the browser's own)"
    )
    parser.add_argument("--from", dest="input", metavar="INPUT", help=text)
    text = (
        "window, virtual-camera, a file such as out.mkv, rtmp://... or a WHIP URL; as often as there are more (window)"
    )
    parser.add_argument("--to", action="append", metavar="OUTPUT", help=text)
    text = "size that a camera is asked for, with --page the browser's, too (its own; 640x480)"
    parser.add_argument("--size", type=checked(_read_size), metavar="WIDTHxHEIGHT", help=text)
    text = "frames a second that a camera is asked for (its own)"
    parser.add_argument("--rate", type=checked(number(1, 1000)), metavar="FPS", help=text)
    parser.add_argument("--loop", action="store_true", help="begin a file again where it ends")
    parser.add_argument("--overwrite", action="store_true", help="replace a file that is there (refuse)")


def _add_page(parser: argparse.ArgumentParser) -> None:
    page = parser.add_argument_group("page")
    text = "serve a web page: its users may add sources, and see their own camera or that of --from"
    page.add_argument("--page", action="store_true", help=text)
    page.add_argument("--host", help="address to listen on (127.0.0.1)")
    page.add_argument("--port", type=checked(whole_number(0, 65535)), help="0 for any that is free (8765)")
    text = "host name that the page has for its users, as behind a proxy; as often as there are more (localhost)"
    page.add_argument("--name", action="append", metavar="HOST", help=text)
    page.add_argument("--certificate", type=Path, metavar="PEM", help="certificate chain, to serve it over HTTPS")
    page.add_argument("--key", type=Path, metavar="PEM", help="its key (in the same file)")
    text = "stun:HOST:PORT or turn:USER:PASSWORD@HOST:PORT, for users behind a router; as often as there are more"
    page.add_argument("--ice-server", action="append", metavar="SERVER", help=text)
    text = "pages that may be open at once (8)"
    page.add_argument("--most-sessions", type=checked(whole_number(1, 1000)), metavar="N", help=text)
    add_source(page, "--model-source")


def check_live(options: argparse.Namespace) -> None:
    """Check that the options go with a page, or without one.

    Raises:
        UsageError: One doesn't, or there is no source.
    """
    has_page = bool(options.page)
    for name in (*_OF_FACES, *_OF_WAYS) if has_page else _OF_PAGE:
        value = getattr(options, name)
        if not (value is None or value is False or value == []):
            remedy = "faces are chosen on the page" if name in _OF_FACES else "leave one of them out"
            seen = f"seen it with --page; {remedy}" if has_page else "seen it without --page"
            raise UsageError(f"--{name.replace('_', '-')}: expected it with{'out' if has_page else ''} --page, {seen}")
    if not has_page and not (options.paths or options.add_source or options.source or options.people):
        raise UsageError("the following arguments are required: source, or --page, where it may be chosen")
    if twice := [text for text, count in Counter(options.to or ()).items() if count > 1]:
        raise UsageError(f"--to: expected each output once, seen {twice[0]} twice")
    if options.loop and not options.input:
        raise UsageError("--loop: expected --from with a file, seen no input")


def tracking_of(options: argparse.Namespace) -> "Tracking":
    """Return how faces are followed: looked for often enough that one that comes is swapped soon.

    Raises:
        UsageError: They aren't followed, and how they are was chosen.
    """
    from morphstream.cli import videos
    from morphstream.face.track import LIVE_TRACKING

    return replace(videos.tracking_of(options), look_every_s=LIVE_TRACKING.look_every_s)


def page_options_of(options: argparse.Namespace, token: str) -> "PageOptions":
    """Return where the page is served, and to whom.

    Raises:
        UsageError: A value is out of range.
    """
    from morphstream.live.options import PageOptions

    usual = PageOptions()
    try:
        return PageOptions(
            host=options.host or usual.host,
            port=usual.port if options.port is None else options.port,
            token=token or usual.token,
            names=options.name or (),
            certificate=options.certificate,
            key=options.key,
            ice_servers=options.ice_server or (),
            visible_mark=not options.no_visible_mark,
            max_pixels=options.max_pixels,
            most_sessions=options.most_sessions or usual.most_sessions,
            size_wh=options.size or usual.size_wh,
        )
    except ValueError as error:
        raise UsageError(str(error)) from None


def _read_size(text: str) -> tuple[int, int]:
    if not (found := re.fullmatch(r"([0-9]{2,5})x([0-9]{2,5})", text)):
        raise ValueError(f"expected a width and a height such as 1280x720, seen {text!r}")
    return int(found[1]), int(found[2])


def _read_address(text: str) -> tuple[str, int]:
    found = _ADDRESS.fullmatch(text)
    if not found or int(found[3]) > 65535:
        raise ValueError(f"expected a port, or HOST:PORT such as 127.0.0.1:9300, seen {text!r}")
    return found[1] or found[2] or "127.0.0.1", int(found[3])
