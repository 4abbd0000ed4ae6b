"""The photos, and swappers opened on the engines that the pipeline made."""

from collections.abc import Callable, Iterator
from functools import cache

import cv2
import numpy as np
import pytest

from morphstream.face.detect import DirectSCRFD
from morphstream.face.embed import DirectArcFace
from morphstream.face.types import Face, Identity
from morphstream.frame import Frame
from morphstream.pipeline import SwapPipeline
from morphstream.session.load import open_session
from morphstream.session.onnxruntime import OnnxRuntimeSession
from morphstream.session.session import Session
from morphstream.store.store import Store
from stages.kit.detector import solvay
from stages.prepare import prepare
from tests.face import astronaut_bgr
from tests.stages import PARAMS, original


@pytest.fixture(scope="session")
def astronaut() -> Frame:
    """One face, large, from the front; not to be changed."""
    frame = astronaut_bgr()
    frame.setflags(write=False)
    return frame


@pytest.fixture(scope="session")
def group() -> Frame:
    """The Solvay conference of 1927, 29 faces; not to be changed."""
    frame = np.asarray(cv2.imdecode(np.frombuffer(solvay(), np.uint8), cv2.IMREAD_COLOR), np.uint8)
    frame.setflags(write=False)
    return frame


@pytest.fixture(scope="session")
def detector(booted: Store) -> Iterator[DirectSCRFD]:
    """The real detector."""
    session = open_session(booted.current(), "det_10g", threads=1)
    yield DirectSCRFD(session)
    session.close()


@pytest.fixture(scope="session")
def embedder(booted: Store) -> Iterator[DirectArcFace]:
    """The kit's embedder."""
    session = open_session(booted.current(), "w600k_r50", threads=1)
    yield DirectArcFace(session)
    session.close()


@pytest.fixture(scope="session")
def open_kit(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Session]:
    """Open any model of the kit by name, as prepared, on ONNX Runtime's CPU provider; each once."""
    folder = tmp_path_factory.mktemp("kit")

    @cache
    def opened(name: str) -> Session:
        (folder / name).mkdir()
        (folder / name / "original.onnx").write_bytes(original(name))
        prepare(PARAMS.model(name), folder / name / "original.onnx", folder / name / "prepared")
        path = folder / name / "prepared" / "fp32.onnx"
        return OnnxRuntimeSession(path, provider="CPUExecutionProvider", threads=1)

    return opened


@pytest.fixture(scope="session")
def group_faces(detector: DirectSCRFD, group: Frame) -> list[Face]:
    """The faces of the group, the surest first."""
    return detector.detect(group)


@pytest.fixture(scope="session")
def swap(booted: Store) -> Iterator[SwapPipeline]:
    """A pipeline with the default swap model."""
    with SwapPipeline(booted, threads=1) as swap:
        yield swap


@pytest.fixture(scope="session")
def source(swap: SwapPipeline, astronaut: Frame) -> Identity:
    """Who the astronaut is."""
    return swap.identify(astronaut)
