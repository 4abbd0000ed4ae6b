"""A saved graph opens the engine that it was compiled of, bit for bit, and no other; a bad one is compiled again."""

import contextlib
import logging
import os
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from onnx import helper

from morphstream.artifact.digest import digest_of_file
from morphstream.artifact.errors import SessionError
from morphstream.session.graphs import SavedGraphs
from morphstream.session.load import Engines, open_session
from morphstream.session.openvino import OpenVINOSession
from morphstream.session.session import Array
from morphstream.store.store import Store
from stages.builders import Order, openvino
from stages.prepare import save_model
from tests.conftest import MODELS
from tests.layouts import MACHINE
from tests.stages import model_of

ROWS = np.arange(6, dtype=np.float32).reshape(2, 3)


@pytest.fixture
def engine(tmp_path: Path) -> Path:
    """An engine that adds 1."""
    return built(tmp_path, 1)


def built(folder: Path, added: float) -> Path:
    """Write an engine that adds a number."""
    weights = {"w": np.full((1, 3), added, np.float32)}
    save_model(
        model_of([helper.make_node("Add", ["x", "w"], ["y"])], {"x": ["N", 3]}, {"y": ["N", 3]}, weights),
        folder / "a.onnx",
    )
    order = Order(
        model=folder / "a.onnx",
        archs=("x86_64",),
        precision="fp32",
        inputs=(),
        outputs=(),
        shapes={"x": ((1, 3), (1, 3), (8, 3))},
        stem="a",
        folder=folder,
        shared=folder,
    )
    openvino.build(order)
    return folder / "a.xml"


def saved(engine: Path, **choices: Any) -> SavedGraphs:
    """Return the graphs beside an engine."""
    digests = {path.name: digest_of_file(path) for path in engine.parent.glob("a.*")}
    return SavedGraphs(folder=engine.parent / "graphs", digests=digests, **choices)


def opened(engine: Path, graphs: SavedGraphs | None = None, *, threads: int = 1) -> Array:
    """Open an engine with the graphs beside it, run it on rows, and close it; return what it makes of them."""
    with contextlib.closing(OpenVINOSession(engine, threads=threads, graphs=graphs or saved(engine))) as session:
        return session.run({"x": ROWS})["y"].copy()


def files(engine: Path) -> list[Path]:
    """Return the files in the folder of graphs."""
    return sorted((engine.parent / "graphs").iterdir())


@pytest.mark.parametrize("model", MODELS)
def test_an_imported_graph_calculates_as_the_compiled_engine_does(booted: Store, tmp_path: Path, model: str) -> None:
    generator = np.random.default_rng(0)
    sessions = [open_session(booted.current(), model, threads=1, graphs=tmp_path / "graphs") for _ in range(2)]
    sessions.append(open_session(booted.current(), model, threads=1))
    inputs: dict[str, Array] = {
        name: generator.random((2, *shape), np.float32)
        if len(shape) == 1
        else generator.integers(0, 256, (2, *shape), np.uint8)
        for name, (_, *shape) in sessions[0].input_shapes.items()
    }
    assert len({str(session.input_shapes) for session in sessions}) == 1
    first, imported, compiled = (session.run(inputs) for session in sessions)
    assert imported.keys() <= compiled.keys()  # where nodes are fused, what was compiled has their names, too
    for name, array in imported.items():
        np.testing.assert_array_equal(array, compiled[name])
        np.testing.assert_array_equal(array, first[name])


def test_a_saved_graph_needs_no_compiling(engine: Path) -> None:
    opened(engine)
    (graph,) = files(engine)
    before = graph.stat()
    np.testing.assert_array_equal(opened(engine), ROWS + 1)
    assert graph.stat().st_ino == before.st_ino


def test_a_graph_holds_no_weights(booted: Store, tmp_path: Path) -> None:
    open_session(booted.current(), "inswapper_128", threads=1, graphs=tmp_path).close()
    (graph,) = tmp_path.iterdir()
    assert graph.stat().st_size < booted.current().files_of("inswapper_128")["ir_weights"].stat().st_size / 2


def test_other_weights_of_the_same_name_size_and_time_are_not_served_by_the_old_graph(engine: Path) -> None:
    opened(engine)
    before = {path: path.stat() for path in engine.parent.glob("a.*")}
    built(engine.parent, 2)
    for path, stat in before.items():
        assert path.stat().st_size == stat.st_size
        os.utime(path, ns=(stat.st_atime_ns, stat.st_mtime_ns))
    np.testing.assert_array_equal(opened(engine), ROWS + 2)


def test_each_configuration_has_its_graph(engine: Path) -> None:
    for threads in (1, 2, 1):
        opened(engine, threads=threads)
    assert len(files(engine)) == 2


def test_each_cpu_has_its_graph(engine: Path, tmp_path: Path) -> None:
    for flags in ("fpu avx2", "fpu avx2 avx512f", "fpu avx2"):
        (tmp_path / "cpuinfo").write_text(f"processor\t: 0\nflags\t\t: {flags}\n")
        opened(engine, saved(engine, cpuinfo=tmp_path / "cpuinfo"))
    assert len(files(engine)) == 2


def test_a_large_graph_is_not_saved(engine: Path) -> None:
    opened(engine, saved(engine, max_bytes=100))
    assert not (engine.parent / "graphs").exists()


def _flip(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)


@pytest.mark.parametrize(
    "damage",
    [
        pytest.param(_flip, id="a bit"),
        pytest.param(lambda path: path.write_bytes(path.read_bytes()[:-9]), id="cut"),
        pytest.param(lambda path: path.write_bytes(b""), id="empty"),
        pytest.param(lambda path: path.write_bytes(sha256(b"x").digest() + b"x"), id="no graph"),
    ],
)
def test_a_damaged_graph_is_compiled_again(
    engine: Path, damage: Callable[[Path], object], caplog: pytest.LogCaptureFixture
) -> None:
    opened(engine)
    (path,) = files(engine)
    good = path.read_bytes()
    damage(path)
    np.testing.assert_array_equal(opened(engine), ROWS + 1)
    (message,) = [record.getMessage() for record in caplog.records]
    assert message.startswith(f"{path}: expected a graph of OpenVINO, seen ")
    assert len(message.splitlines()) == 1
    assert len(path.read_bytes()) == len(good)
    opened(engine)
    assert len(caplog.records) == 1


def test_a_damaged_engine_is_refused_though_its_graph_is_good(engine: Path) -> None:
    graphs = saved(engine)
    opened(engine, graphs)
    data = engine.read_bytes()
    engine.write_bytes(data[: len(data) // 2].ljust(len(data)))
    with pytest.raises(SessionError, match=r"^a\.xml: expected an engine for OpenVINO, seen .+; boot again$"):
        opened(engine, graphs)


def test_damaged_weights_have_no_graph_that_outlasts_their_repair(
    engine: Path, caplog: pytest.LogCaptureFixture
) -> None:
    graphs = saved(engine)
    built(engine.parent, 2)
    with caplog.at_level(logging.INFO):
        opened(engine, graphs)
    assert not (engine.parent / "graphs").exists()
    assert "a.bin" in caplog.records[0].getMessage()


def test_a_folder_that_can_not_be_written_is_done_without(engine: Path) -> None:
    (engine.parent / "graphs").write_bytes(b"no folder")
    np.testing.assert_array_equal(opened(engine), ROWS + 1)


def test_graphs_of_other_generations_go_when_one_is_saved_and_foreign_files_stay(engine: Path) -> None:
    opened(engine)
    (old,) = files(engine)
    foreign = [
        old.with_name(name) for name in ("notes.txt", "my.graph", "my-own.graph", f"{'0123' * 4}-{'4567' * 4}.graph")
    ]
    for path in foreign:
        path.write_bytes(b"precious")
    engine.write_text(engine.read_text().replace("</net>", "</net>\n"))
    opened(engine)
    left = files(engine)
    assert set(foreign) < set(left)
    assert len(left) == len(foreign) + 1
    assert old not in left


def test_engines_of_a_store_save_their_graphs_in_it(own_store: Store) -> None:
    for _ in range(2):
        with Engines(own_store, MACHINE, threads=1, cuda_graph=False) as engines:
            for model in ("xseg_1", "w600k_r50"):
                engines(model)
    assert len(list((own_store.path / "graphs").iterdir())) == 2
