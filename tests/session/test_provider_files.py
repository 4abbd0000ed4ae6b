"""What is passed to the providers for GPUs, and what is brought for them, is what their own files name.

None of it needs a GPU: the wheels are read, 2.5 GB of them, and not installed.
"""

import re
import struct
import subprocess
import sys
import tempfile
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from zipfile import ZipFile

import pytest
import yaml
from onnx import helper

from morphstream.machine.findings import findings_of
from morphstream.machine.libraries import DRIVER_LIBRARY, TENSORRT_LIBRARIES
from morphstream.session.onnxruntime import OnnxRuntimeSession
from morphstream.session.provider import RTX, TENSORRT
from stages.builders import Order, Tensor
from stages.builders.tensorrt import provider_options
from tests.machine.test_findings import WORKSTATION
from tests.session.fake_gpu import FakeGpu
from tests.session.test_runtime_cache import caches
from tests.stages import ROOT, model_of

pytestmark = pytest.mark.network

EXTRAS: Mapping[str, list[str]] = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"][
    "optional-dependencies"
]
SYSTEM = re.compile(r"lib(c|m|dl|rt|pthread|stdc\+\+|gcc_s|z)\.so\.[0-9]+|ld-linux-.*")  # of every base image
DRIVER = {DRIVER_LIBRARY, "libnvidia-ml.so.1"}
_DT_NEEDED, _DT_STRTAB = 1, 5


@pytest.fixture(scope="module")
def wheels() -> Iterator[Path]:
    """The wheels that the extras for GPUs resolve to, but for those that the public index doesn't have."""
    wanted = [line.partition(";")[0].strip() for name in ("rtx", "tensorrt") for line in EXTRAS[name]]
    wanted = [line for line in wanted if line.startswith("onnxruntime-")]
    with tempfile.TemporaryDirectory() as folder:
        for line in wanted:
            command = [sys.executable, "-m", "pip", "download", "--quiet", "--only-binary", ":all:", "--dest", folder]
            subprocess.run([*command, line], check=True, capture_output=True)
        yield Path(folder)


def wheel(wheels: Path, name: str) -> ZipFile:
    """Return a wheel by the name of its package."""
    (path,) = wheels.glob(f"{name.replace('-', '_')}-[0-9]*.whl")
    return ZipFile(path)


def files_of(wheels: Path, name: str) -> dict[str, str]:
    """Return the paths in a wheel, by file name."""
    with wheel(wheels, name) as opened:
        return {Path(path).name: path for path in opened.namelist()}


def read(wheels: Path, name: str, file: str) -> bytes:
    """Return a file of a wheel."""
    with wheel(wheels, name) as opened:
        return opened.read(files_of(wheels, name)[file])


def needed(library: bytes) -> set[str]:
    """Return the sonames that an ELF library of 64 bits asks the loader for.

    Source: System V ABI, "Object Files" and "Dynamic Section".
    """
    assert library[:6] == b"\x7fELF\x02\x01"
    start, (size, count) = struct.unpack_from("<Q", library, 32)[0], struct.unpack_from("<HH", library, 54)
    headers = [struct.unpack_from("<IIQQQQQQ", library, start + place * size) for place in range(count)]
    loads = [(address, offset, length) for kind, _, offset, address, _, length, *_ in headers if kind == 1]
    ((offset, length),) = [(offset, length) for kind, _, offset, _, _, length, *_ in headers if kind == 2]
    entries = list(struct.iter_unpack("<qQ", library[offset : offset + length]))
    (strings,) = (value for tag, value in entries if tag == _DT_STRTAB)
    (base,) = (strings - address + place for address, place, size in loads if address <= strings < address + size)
    names = (base + value for tag, value in entries if tag == _DT_NEEDED)
    return {library[name : library.index(b"\0", name)].decode() for name in names}


def options_of_header(text: str, namespace: str) -> dict[str, str]:
    """Return the options in a namespace of NVIDIA's header by name, each with its documentation."""
    (body,) = re.findall(rf"namespace {namespace}\n(.*?)\n}}  // namespace", text, re.DOTALL)
    return {name: words for words, name in re.findall(r'((?:///.*\n)+)constexpr const char\* \w+ = "([^"]+)";', body)}


def asked_of(provider: str, engine: Path) -> tuple[dict[str, str], set[str]]:
    """Return the options that a session is opened with, and the names of those that its runs have."""
    gpu, cache = FakeGpu(provider), caches(engine).open(engine)
    assert cache is not None
    path = engine.with_name(f"{engine.stem}_ctx.onnx")
    session = OnnxRuntimeSession(
        path,
        provider=provider,
        threads=1,
        cuda_graph=True,
        cache=cache if provider == RTX else None,
        runtime=gpu,
    )
    session.close()
    cache.close()
    ((_, options),) = gpu.providers
    return options, {name for _, entries, _ in gpu.runs for name in entries}


@pytest.fixture
def engine(tmp_path: Path) -> Path:
    """An engine of two batches with its EPContext model."""
    (tmp_path / "generation").mkdir()
    model = model_of([helper.make_node("Neg", ["x"], ["y"])], {"x": ["N", 3]}, {"y": ["N", 3]})
    helper.set_model_props(model, {"batches": "1,2"})
    (tmp_path / "generation/m_ctx.onnx").write_bytes(model.SerializeToString())
    (tmp_path / "generation/m.engine").write_bytes(b"engine")
    return tmp_path / "generation/m.engine"


def test_every_option_for_tensorrt_for_rtx_is_in_its_header_and_takes_that_value(wheels: Path, engine: Path) -> None:
    text = read(wheels, "onnxruntime-ep-nv-tensorrt-rtx-cu12", "tensorrt_rtx_provider_options.h").decode()
    options, of_runs = asked_of(RTX, engine)
    known = options_of_header(text, "provider_option_names")
    assert set(options) == {"nv_multi_profile_enable", "enable_cuda_graph", "nv_runtime_cache_path"}
    assert set(options) <= set(known)
    for name, value in options.items():
        is_path = value.startswith("/")
        assert ("Any non-empty value" if is_path else f"`{value}` — ") in known[name]
    assert of_runs == {"nv_profile_index", "cuda_graph_annotation_id"}
    assert of_runs <= set(options_of_header(text, "run_option_names"))


def test_the_gpus_that_doctor_has_for_tensorrt_for_rtx_are_those_of_the_header(wheels: Path) -> None:
    text = read(wheels, "onnxruntime-ep-nv-tensorrt-rtx-cu12", "tensorrt_rtx_provider_options.h").decode()
    (named,) = re.findall(r"kTargetSMValues\[\] = \{(.*)\};", text)
    assert "compute_capability >= 120" in text  # are taken, named or not
    taken = {*re.findall(r"sm[0-9]+", named), "sm122"}
    for arch in ("sm75", "sm80", "sm87", "sm90", "sm100", *taken):
        stops = {
            builder for finding in findings_of(replace(WORKSTATION, gpu_archs=(arch,))) for builder in finding.stops
        }
        assert stops == (set() if arch in taken else {"tensorrt_rtx"})


def test_every_option_for_tensorrt_is_named_in_its_provider(wheels: Path, engine: Path, tmp_path: Path) -> None:
    library = read(wheels, "onnxruntime-gpu", "libonnxruntime_providers_tensorrt.so")
    options, of_runs = asked_of(TENSORRT, engine)
    tensor = Tensor(name="x", dtype="float32", shape=(-1, 3))
    order = Order(
        model=tmp_path / "m.onnx",
        archs=("sm89",),
        precision="fp16",
        inputs=(tensor,),
        outputs=(replace(tensor, name="y"),),
        shapes={"x": ((1, 3), (2, 3))},
        stem="m",
        folder=tmp_path,
        shared=tmp_path,
    )
    names = {*options, *provider_options(order)}
    assert len(names) > 10
    assert {name for name in names if b"\0" + name.encode() + b"\0" not in library} == set()
    assert of_runs == set()


def test_the_provider_for_rtx_brings_the_libraries_that_it_needs_and_the_version_that_engines_are_built_with(
    wheels: Path,
) -> None:
    name = "onnxruntime-ep-nv-tensorrt-rtx-cu12"
    files = files_of(wheels, name)
    libraries = [file for file in files if ".so" in file]
    wanted = set[str]().union(*(needed(read(wheels, name, file)) for file in libraries))
    wanted = {soname for soname in wanted if not SYSTEM.fullmatch(soname)} - DRIVER
    assert wanted == {"libcudart.so.12", "libtensorrt_rtx.so.1", "libtensorrt_onnxparser_rtx.so.1"}
    assert all(any(file.startswith(soname) for file in libraries) for soname in wanted)
    declared = yaml.safe_load((ROOT / "params.yaml").read_text())["targets"]["rtx-sm89"]["toolchain"]["tensorrt_rtx"]
    assert f"libtensorrt_rtx.so.{declared.rpartition('.')[0]}" in files


def test_what_the_provider_for_tensorrt_needs_is_what_is_looked_for(wheels: Path) -> None:
    providers = ("libonnxruntime_providers_tensorrt.so", "libonnxruntime_providers_cuda.so")
    wanted = set[str]().union(*(needed(read(wheels, "onnxruntime-gpu", file)) for file in providers))
    assert {soname for soname in wanted if not SYSTEM.fullmatch(soname)} == set(TENSORRT_LIBRARIES)


def test_the_extra_brings_each_library_by_the_package_that_is_named(wheels: Path) -> None:
    public = {soname: package for soname, package in TENSORRT_LIBRARIES.items() if package.startswith("nvidia-")}
    assert {soname for soname, package in public.items() if soname not in files_of(wheels, package)} == set()


def test_the_vendors_index_has_the_libraries_of_tensorrt(tmp_path: Path) -> None:
    (line,) = (line.partition(";")[0] for line in EXTRAS["tensorrt"] if line.startswith("tensorrt-cu12=="))
    package = line.replace("tensorrt-cu12", "tensorrt-cu12-libs")
    command = [sys.executable, "-m", "pip", "download", "--no-deps", "--retries", "0", "--dest", str(tmp_path)]
    done = subprocess.run([*command, "--index-url", "https://pypi.nvidia.com", package], check=False)
    if done.returncode:
        pytest.skip("needs NVIDIA's package index")
    own = {soname for soname, name in TENSORRT_LIBRARIES.items() if name == "tensorrt-cu12-libs"}
    assert own <= set(files_of(tmp_path, "tensorrt-cu12-libs"))
