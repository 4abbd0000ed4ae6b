"""Faults that end `morphstream live` in one line, and signals that end it with its files whole."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

import av
import cv2
import numpy as np

from bench.faults import Fault, Place, one_line

_LONGEST_S, _SOME_FRAMES_S = 120.0, 2.0


def _command(place: Place, *arguments: str | Path, page: bool = False) -> list[str]:
    source = () if page else (place.demo / "source.png",)
    return [
        *map(str, (sys.executable, "-m", "morphstream", "live", *source, "--store", place.demo / "store", *arguments))
    ]


def _refused(
    place: Place, *arguments: str | Path, words: Sequence[str], environment: Mapping[str, str] | None = None
) -> str:
    """Run a command that must exit 1 with one line on stderr, before its states."""
    page = "--page" in arguments
    done = subprocess.run(
        _command(place, *arguments, page=page),
        env=os.environ | (environment or {}),
        capture_output=True,
        text=True,
        timeout=_LONGEST_S,
    )
    assert done.returncode == 1, f"expected exit 1, seen {done.returncode}: {done.stderr}"
    assert "Traceback" not in done.stderr, done.stderr
    lines = [line for line in done.stderr.replace("\r", "\n").splitlines() if line.startswith("morphstream")]
    return one_line("\n".join(lines), *words)


def _a_camera_that_is_not_there(place: Place) -> str:
    return _refused(place, "--from", "camera:99", "--to", place.folder / "x.mp4", words=["/dev/video99"])


def _an_input_file_that_is_not_there(place: Place) -> str:
    return _refused(place, "--from", place.folder / "none.mp4", "--to", place.folder / "x.mp4", words=["none.mp4"])


def _an_input_file_of_text(place: Place) -> str:
    (place.folder / "text.mp4").write_text("no video\n" * 1000, "utf-8")
    return _refused(place, "--from", place.folder / "text.mp4", "--to", place.folder / "x.mp4", words=["text.mp4"])


def _an_input_file_without_its_index(place: Place) -> str:
    (place.folder / "cut.mp4").write_bytes(place.clip(".mp4").read_bytes()[:5000])
    return _refused(place, "--from", place.folder / "cut.mp4", "--to", place.folder / "x.mp4", words=["cut.mp4"])


def _an_address_of_srt(place: Place) -> str:
    return _refused(place, "--from", "srt://127.0.0.1:9", "--to", place.folder / "x.mp4", words=["srt"])


def _an_output_that_is_there(place: Place) -> str:
    (place.folder / "other.mp4").write_bytes(b"somebody's")
    line = _refused(place, "--from", place.clip(".mp4"), "--to", place.folder / "other.mp4", words=["other.mp4"])
    assert (place.folder / "other.mp4").read_bytes() == b"somebody's"
    return line


def _an_output_folder_that_is_not_there(place: Place) -> str:
    return _refused(place, "--from", place.clip(".mp4"), "--to", place.folder / "no/x.mp4", words=["no"])


def _an_output_of_no_known_kind(place: Place) -> str:
    return _refused(place, "--from", place.clip(".mp4"), "--to", place.folder / "x.txt", words=["x.txt"])


def _a_window_without_a_display(place: Place) -> str:
    away = {"DISPLAY": "", "WAYLAND_DISPLAY": ""}
    return _refused(place, "--from", place.clip(".mp4"), "--to", "window", words=["window"], environment=away)


def _a_virtual_camera_that_the_system_lacks(place: Place) -> str:
    return _refused(place, "--from", place.clip(".mp4"), "--to", "virtual-camera", words=["virtual-camera"])


def _a_source_picture_without_a_face(place: Place) -> str:
    cv2.imwrite(str(place.folder / "grey.png"), np.full((64, 64, 3), 99, np.uint8))
    path = place.folder / "grey.png"
    line = ("--source", path, "--from", place.clip(".mp4"), "--to", place.folder / "x.mp4")
    return _refused(place, *line, words=["grey.png", "face"])


def _a_full_disk(place: Place) -> str:
    """Let a process write 48 kB a file."""
    output = place.folder / "full.mkv"
    command = _command(place, "--from", place.clip(".mp4", 150), "--to", output)
    limited = ["bash", "-c", 'ulimit -f 48; exec "$@"', "bash", *command]
    done = subprocess.run(limited, capture_output=True, text=True, timeout=_LONGEST_S)
    assert done.returncode == 1, f"expected exit 1, seen {done.returncode}: {done.stderr}"
    assert "Traceback" not in done.stderr, done.stderr
    left = [path.name for path in place.folder.glob("full*")]
    lines = [line for line in done.stderr.replace("\r", "\n").splitlines() if line.startswith("morphstream")]
    return one_line("\n".join(lines), "full.mkv") + f" (left: {', '.join(left) or 'nothing'})"


def _a_port_that_is_taken(place: Place) -> str:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        return _refused(place, "--page", "--port", str(taken.getsockname()[1]), words=["port"])


def _a_certificate_that_is_none(place: Place) -> str:
    (place.folder / "none.pem").write_text("none", "utf-8")
    return _refused(place, "--page", "--port", "0", "--certificate", place.folder / "none.pem", words=["none.pem"])


def _ctrl_c_in_the_middle(place: Place) -> str:
    return _signalled(place, signal.SIGINT, 130)


def _sigterm_in_the_middle(place: Place) -> str:
    return _signalled(place, signal.SIGTERM, 143)


def _signalled(place: Place, number: signal.Signals, expected: int) -> str:
    """Signal a run that writes a file; check that it ends with the status of that, and that the file plays."""
    output = place.folder / f"{number.name}.mp4"
    command = _command(place, "--from", place.clip(".mp4"), "--loop", "--to", output)
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        for line in process.stderr:
            if line.endswith(": live\n"):
                break
        time.sleep(_SOME_FRAMES_S)
        process.send_signal(number)
        _, said = process.communicate(timeout=_LONGEST_S)
    assert process.returncode == expected, f"expected {expected}, seen {process.returncode}: {said}"
    assert "Traceback" not in said, said
    with av.open(str(output)) as container:
        frames = sum(1 for _ in container.decode(video=0))
    assert frames, "expected frames, seen none"
    return f"exit {expected}, {frames} frames in a file that plays"


FAULTS: tuple[Fault, ...] = (
    _a_camera_that_is_not_there,
    _an_input_file_that_is_not_there,
    _an_input_file_of_text,
    _an_input_file_without_its_index,
    _an_address_of_srt,
    _an_output_that_is_there,
    _an_output_folder_that_is_not_there,
    _an_output_of_no_known_kind,
    _a_window_without_a_display,
    _a_virtual_camera_that_the_system_lacks,
    _a_source_picture_without_a_face,
    _a_full_disk,
    _a_port_that_is_taken,
    _a_certificate_that_is_none,
    _ctrl_c_in_the_middle,
    _sigterm_in_the_middle,
)
