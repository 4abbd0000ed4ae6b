"""What the pipeline publishes of a few kit models, made once by its own code, and a store booted from it."""

import gc
import os
import shutil
import signal
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings

# The Hub's client reads these once, when it is imported: no hub but the loopback one, and no login of the user's.
os.environ |= {
    "HF_ENDPOINT": "http://localhost:9",
    "HF_HOME": str(Path(tempfile.gettempdir()) / f"morphstream-tests-{os.getpid()}"),
    "HF_HUB_DISABLE_TELEMETRY": "1",
    "HF_HUB_DISABLE_XET": "1",
}
os.environ.pop("HF_TOKEN", None)

import morphstream
from morphstream.artifact.digest import digest_of_file
from morphstream.artifact.manifest import ArchivesManifest, EngineFile, EngineManifest
from morphstream.artifact.target import CacheKey
from morphstream.store.store import Store
from stages.compile import compile_model
from stages.index import index_engines
from stages.licences import licences_of
from stages.prepare import prepare
from tests.layouts import CPU, packed, publish, publish_code, write_archives, write_manifest
from tests.loopback.server import WRITE_TOKEN, Hub
from tests.stages import PARAMS, original

# A script's `&` and nohup start programs that ignore these, and so would all that the tests start and interrupt.
signal.signal(signal.SIGINT, signal.default_int_handler)
signal.signal(signal.SIGQUIT, signal.SIG_DFL)

gc.disable()  # until all is imported and collected, of which nothing becomes garbage

settings.register_profile(  # how long a test takes is bench/'s to say
    "no clock", deadline=None, max_examples=int(os.environ.get("MORPHSTREAM_EXAMPLES") or 25)
)
settings.load_profile("no clock")

MODELS = ("det_10g", "w600k_r50", "inswapper_128", "inswapper_128_fp16", "hyperswap_1a_256", "xseg_1")
RTX = "sm89/rtx1.7_ort1.31"


def pytest_addoption(parser: pytest.Parser) -> None:
    """Declare how the pictures of the docs are made anew."""
    parser.addoption("--write-screenshots", action="store_true", help="write the pictures of pages in docs/images")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with what takes minutes, so that no worker is left with it at the end.

    The pipeline's tests share a workspace, which the first of them makes while the other worker farms.
    """
    order = ["test_pipeline.py", "test_farm.py", "the other tests of test_pipeline.py", "test_publish_race.py"]
    turns = {item.nodeid: order.index(item.path.name) if item.path.name in order else len(order) for item in items}
    for item in [item for item in items if item.path.name == order[0]][1:]:
        turns[item.nodeid] = order.index("the other tests of test_pipeline.py")
    items.sort(key=lambda item: turns[item.nodeid])


def pytest_configure() -> None:
    """Keep to one core where there are fewer than processes that run tests: their threads would wait by spinning."""
    count, worker = (os.environ.get(f"PYTEST_XDIST_WORKER{of}", "") for of in ("_COUNT", ""))
    if count and hasattr(os, "sched_setaffinity") and int(count) > len(cores := sorted(os.sched_getaffinity(0))):
        os.sched_setaffinity(0, {cores[int(worker.removeprefix("gw")) % len(cores)]})


def pytest_collection_finish() -> None:
    """Look for garbage from now on, and not among what is there."""
    gc.freeze()
    gc.enable()


@pytest.fixture(scope="session")
def published(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A published layout: this CPU's engines of `MODELS`, what they were made from, and an engine for a GPU."""
    root = tmp_path_factory.mktemp("published")
    build = PARAMS.build("cpu")
    for name in MODELS:
        model = PARAMS.model(name)
        (root / model.file).parent.mkdir(parents=True, exist_ok=True)
        (root / model.file).write_bytes(original(name))
        prepare(model, root / model.file, root / "prepared" / name)
        compile_model(build.target, root / "prepared" / name, root / "engines" / name, root / "timing")
    cache = root / "trt_cache" / build.cache_key
    index_engines(
        build.target.target, {name: root / "engines" / name for name in MODELS}, cache, licences=licences_of(PARAMS)
    )
    names = {"cpu.tar.zst": (build.cache_key, sorted(path.name for path in cache.iterdir()))}
    names["rtx.tar.zst"] = (RTX, _publish_for_gpu(root / "trt_cache" / RTX))
    entries = {name: packed(root, name, key, files) for name, (key, files) in names.items()}
    write_archives(root, ArchivesManifest(archives=entries))
    return root


def _publish_for_gpu(cache: Path) -> list[str]:
    cache.mkdir(parents=True)
    engine = cache / "det_10g.engine"
    engine.write_bytes(b"an engine for a GPU")
    file = EngineFile(group="core", onnx_model="det_10g", digest=digest_of_file(engine), kind="engine")
    write_manifest(cache, EngineManifest(cache_key=CacheKey.parse(RTX), engine_files={engine.name: file}))
    return [engine.name, "manifest.json"]


@pytest.fixture(scope="session")
def booted(published: Path, tmp_path_factory: pytest.TempPathFactory) -> Store:
    """A store with this CPU's engines; not to be changed."""
    store = Store(tmp_path_factory.mktemp("booted") / "store")
    morphstream.boot(store, target="cpu", source=published)
    return store


@pytest.fixture
def own_store(booted: Store, tmp_path: Path) -> Store:
    """A copy of the booted store, to be spoilt."""
    shutil.copytree(booted.path, tmp_path / "store", ignore=shutil.ignore_patterns("graphs"))
    return Store(tmp_path / "store")


@pytest.fixture(scope="session")
def booted_for_gpu(published: Path, tmp_path_factory: pytest.TempPathFactory) -> Store:
    """A store with an engine for a GPU; not to be changed."""
    store = Store(tmp_path_factory.mktemp("booted") / "store")
    morphstream.boot(store, target="rtx-sm89", source=published)
    return store


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    """A hub on loopback without repositories, and its token in the environment."""
    monkeypatch.setenv("HF_TOKEN", WRITE_TOKEN)
    with Hub(tmp_path / "hub") as hub:
        yield hub


@pytest.fixture
def layout(tmp_path: Path) -> Path:
    """A published layout with engines for `MACHINE` and for two GPU archs."""
    return publish(tmp_path / "layout", CPU, "sm86/rtx1.7_ort1.31", "sm89/rtx1.7_ort1.31")


@pytest.fixture
def store(tmp_path: Path) -> Store:
    """An empty store."""
    return Store(tmp_path / "store")


@pytest.fixture
def code(tmp_path: Path) -> Path:
    """A published layout with engines for this CPU, and code that prints `one`."""
    root = publish(tmp_path / "published", CPU)
    publish_code(root, "one")
    return root


@pytest.fixture
def app(tmp_path: Path) -> Path:
    """Where releases go; nothing is there."""
    return tmp_path / "app"
