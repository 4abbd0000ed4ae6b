"""``morphstream live``: swap faces as they come, of a camera, a file or a URL, or of the cameras of a web page."""

import argparse
import json
import logging
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import asdict
from ipaddress import ip_address
from pathlib import Path
from typing import TYPE_CHECKING

from morphstream.artifact.errors import message_of
from morphstream.cli.choice import SourcePerson, identities_of, people_of, pictures_of, wanted_of
from morphstream.cli.live_options import add_live, check_live, page_options_of, tracking_of
from morphstream.cli.look import check_boost, read_look
from morphstream.cli.options import Commands, log_lines
from morphstream.cli.signing import signing_of
from morphstream.cli.written import add_people_of
from morphstream.machine.limits import check_limits
from morphstream.source.progress import show_line

if TYPE_CHECKING:
    from morphstream.face.look import Look
    from morphstream.face.track import Tracking
    from morphstream.health.metrics import Metrics
    from morphstream.live.options import PageOptions
    from morphstream.live.run import LiveReport
    from morphstream.media.live.input import LiveInput
    from morphstream.worker.worker import SwapWorker

_log = logging.getLogger("morphstream.live")


def add(commands: Commands) -> None:
    """Declare the command."""
    text = "swap faces as they come: of a camera, a file or a URL, or of browsers' cameras by a web page"
    parser = commands.add_parser("live", help=text)
    add_live(parser)
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Swap until the input ends or a signal comes, and say what came of it; a page is served until a signal comes."""
    check_limits()
    add_people_of(options)
    check_live(options)
    look, tracking = read_look(options), tracking_of(options)
    people = people_of(options.paths, options)
    page = page_options_of(options, os.environ.get("MORPHSTREAM_TOKEN", "")) if options.page else None
    log_lines()
    if options.no_visible_mark:
        _log.warning("--no-visible-mark: no words in the picture say that it is synthetic; say so where it is shown")
    if page and not page.certificate and not _is_loopback(page.host):
        expected = "expected HTTPS, without which browsers elsewhere give no camera and others may read along"
        _log.warning("--host %s: %s; name --certificate, or serve it behind a proxy that has one", page.host, expected)
    with _health(options) as metrics, ExitStack() as stack:
        if page:
            return _serve(options, look, page, people, metrics, stack)
        return _swap(options, look, tracking, people, metrics, stack)


def _swap(
    options: argparse.Namespace,
    look: "Look",
    tracking: "Tracking",
    people: Sequence[SourcePerson],
    metrics: "Metrics",
    stack: ExitStack,
) -> int:
    """Swap the frames of one input, and write them to each output; return 1 if an output failed."""
    from morphstream.live.run import run_live
    from morphstream.media.live.sink import open_output
    from morphstream.media.visible_mark import draw_visible_mark

    read = [path for path in [*pictures_of(people), Path(options.input or "")] if path.is_file()]
    if signing := signing_of(options):
        signing = signing.of(sources=pictures_of(people))
    named = options.to or ["window"]
    outputs = [open_output(text, overwrite=options.overwrite, inputs=read, signing=signing) for text in named]
    for output in outputs:
        stack.enter_context(output)
    begin = _input_of(options)
    worker = stack.enter_context(_worker(options, look, metrics))
    analyser, threshold = worker.pipeline.analyser, options.threshold
    wanted, notes = wanted_of(analyser, people, look, threshold=threshold, max_pixels=options.max_pixels)
    _say_all(notes)
    stream = stack.enter_context(worker.open("live", wanted, tracking=tracking))
    source = stack.enter_context(begin())  # last, as a file is shown from then on
    mark = None if options.no_visible_mark else draw_visible_mark
    metrics.set_ready()
    try:
        report = run_live(source, stream, outputs, mark=mark, on_state=_say, on_report=_show)
    finally:
        show_line("")
    print(json.dumps(asdict(report), indent=2) if options.json else "\n".join(_lines_of(report, source.name)))
    if report.stopped_by:
        signal.raise_signal(report.stopped_by)
    return int(any(output.error for output in report.outputs))


def _serve(
    options: argparse.Namespace,
    look: "Look",
    page: "PageOptions",
    people: Sequence[SourcePerson],
    metrics: "Metrics",
    stack: ExitStack,
) -> int:
    """Serve a page until a signal comes."""
    from morphstream.cli.page_models import PageModels
    from morphstream.live.choices import Person
    from morphstream.live.server import PageServer
    from morphstream.store.store import Store

    source = None if options.input is None else stack.enter_context(_input_of(options)())
    worker = stack.enter_context(_worker(options, look, metrics))
    identities, notes = identities_of(worker.pipeline.analyser, people, look, max_pixels=options.max_pixels)
    _say_all(notes)
    own = [Person(person.name, identity) for person, identity in zip(people, identities, strict=True)]
    models = PageModels(Store(options.store), options.model_source)
    server = stack.enter_context(PageServer(worker, page, people=own, server_input=source, swap_models=models))
    metrics.set_ready()
    ready = {"link": str(server.link), "swap_model": options.swap_model}
    print(json.dumps(ready) if options.json else f"{server.link}: ready with {options.swap_model}", flush=True)
    threading.Event().wait()
    return 0


@contextmanager
def _health(options: argparse.Namespace) -> Iterator["Metrics"]:
    """Yield the metrics of this process, which are answered for where options name an address."""
    from morphstream.health.metrics import Metrics
    from morphstream.health.serve import record_boot_file
    from morphstream.health.server import HealthServer

    metrics = Metrics()
    metrics.set_unready("the engines are being opened")
    if report := os.environ.get("MORPHSTREAM_BOOT_REPORT"):
        record_boot_file(metrics, Path(report))
    with ExitStack() as stack:
        if options.health:
            host, port = options.health
            server = stack.enter_context(HealthServer(metrics, host=host, port=port))
            _say(f"{server.url}: alive; opening {options.store}")
        try:
            yield metrics
        finally:
            metrics.set_unready("the process is ending")


@contextmanager
def _worker(options: argparse.Namespace, look: "Look", metrics: "Metrics") -> Iterator["SwapWorker"]:
    """Open the engines, warm, and a worker that swaps with them."""
    from morphstream.boot.service import ModelDownloadService
    from morphstream.cli.videos import share_cores
    from morphstream.health.serve import warm_up
    from morphstream.pipeline import SwapPipeline
    from morphstream.worker.worker import SwapWorker

    share_cores()
    most, started = options.most_sessions or 8, time.perf_counter()
    with (
        SwapPipeline(options.store, swap_model=options.swap_model, look=look, threads=options.threads) as pipeline,
        ModelDownloadService(options.store, options.model_source) as downloads,
        SwapWorker(pipeline, downloads=downloads, most_streams=most, count_frame=metrics.count_frame) as worker,
    ):
        check_boost(look, pipeline)
        metrics.watch(worker.stats)
        warm_up(pipeline.steps({}))
        metrics.set_boot_step("open", time.perf_counter() - started)
        yield worker


def _is_loopback(host: str) -> bool:
    with suppress(ValueError):
        return ip_address(host).is_loopback
    return host == "localhost"


def _input_of(options: argparse.Namespace) -> Callable[[], "LiveInput"]:
    """Return what begins to read the input, which is checked now: engines may take minutes to open."""
    from morphstream.media.live.source import checked_input

    named = "camera" if options.input is None else options.input
    return checked_input(named, size_wh=options.size, fps=options.rate, loop=options.loop)


def _say_all(notes: Sequence[str]) -> None:
    for note in notes:
        print(note, file=sys.stderr)


def _say(text: str) -> None:
    """Print a line on stderr, in place of that of the progress."""
    show_line("")
    print(message_of(text), file=sys.stderr)


def _show(report: "LiveReport") -> None:
    """Show how a run is going."""
    late = f"{report.dropped} of {report.frames} frames dropped"
    show_line(f"{report.fps:.1f} frames/s, {1000 * report.p50_s:.0f} ms late, {late}")


def _lines_of(report: "LiveReport", name: str) -> Iterator[str]:
    """Yield what came of a run, and what of each output."""
    counts = f"{report.frames} frames in {report.seconds:.1f} s, {report.swapped} swapped, {report.dropped} dropped"
    times = ", ".join(f"{1000 * seconds:.0f}" for seconds in (report.p50_s, report.p95_s, report.p99_s))
    lost = f"; connections lost or refused: {report.reconnects}" if report.reconnects else ""
    yield f"{name}: {counts}; latency {times} ms at 50, 95 and 99 %{lost}"
    for output in report.outputs:
        late = f", {output.dropped} late" if output.dropped else ""
        lost = f", connections lost or refused: {output.reconnects}" if output.reconnects else ""
        yield f"{output.name}: {output.written} frames written{late}{lost}{f'; {output.error}' if output.error else ''}"
