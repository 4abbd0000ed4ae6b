"""Find GPU libraries by the names of their files, in Python's packages and outside; none is loaded.

As in NVIDIA's base images: the loader looks for a library under its soname, such as ``libnvinfer.so.10``, in the
folders of LD_LIBRARY_PATH and then in its cache; that is a link to the file that is named after the whole version,
``libnvinfer.so.10.14.1``.

Source: man-pages, ld.so(8) and ldconfig(8); what the provider for TensorRT needs: ``readelf -d`` of it and of the
provider for CUDA, which it calls, in the wheel of onnxruntime-gpu 1.24.4.
"""

import functools
import os
import platform
import re
import shutil
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from pathlib import Path

_STEMS: Mapping[str, str] = {"tensorrt": "libnvinfer", "tensorrt_rtx": "libtensorrt_rtx", "cuda": "libcudart"}
DRIVER_LIBRARY = "libcuda.so.1"  # of the GPU's driver; a container may have it without, to ask about the GPU alone

# What ONNX Runtime's provider for TensorRT needs, in the order in which to load it, with the package that brings it.
TENSORRT_LIBRARIES: Mapping[str, str] = {
    "libcudart.so.12": "nvidia-cuda-runtime-cu12",
    "libcublasLt.so.12": "nvidia-cublas-cu12",
    "libcublas.so.12": "nvidia-cublas-cu12",
    "libcurand.so.10": "nvidia-curand-cu12",
    "libcufft.so.11": "nvidia-cufft-cu12",
    "libcudnn.so.9": "nvidia-cudnn-cu12",
    "libnvinfer.so.10": "tensorrt-cu12-libs",
    "libnvonnxparser.so.10": "tensorrt-cu12-libs",
}
_CACHED = re.compile(r"\s*(\S+) \(.*\) => (.+)")  # a line of `ldconfig -p`
_SBIN = "/sbin:/usr/sbin"  # the folders of ldconfig, which users don't have in their PATH
_USUAL = ("/lib", "/usr/lib", "/lib64", "/usr/lib64", f"/usr/lib/{platform.machine()}-linux-gnu")  # of the loader
_TIMEOUT_S = 5.0  # reading the cache takes milliseconds


def loader_cache() -> str:
    """Return the list in the loader's cache, as ``ldconfig -p`` prints it; empty where there is no such program."""
    import subprocess  # here, so that machines without GPUs don't load it

    ldconfig = shutil.which("ldconfig", path=f"{os.environ.get('PATH', '')}:{_SBIN}") or "ldconfig"
    with suppress(OSError, subprocess.SubprocessError):
        done = subprocess.run([ldconfig, "-p"], capture_output=True, check=True, timeout=_TIMEOUT_S)
        return done.stdout.decode(errors="replace")
    return ""


def find_libraries(
    wanted: Iterable[str], *, search_path: str | None = None, cache: Callable[[], str] = loader_cache
) -> dict[str, str]:
    """Return the version of each library that the loader would find, in digits and dots.

    Args:
        wanted: Some of ``tensorrt``, ``tensorrt_rtx`` and ``cuda``; others are ignored.
        search_path: Folders that come before the cache, with colons between; None for LD_LIBRARY_PATH.
        cache: Returns the list in the loader's cache; called once, and only for what no folder has.
    """
    folders = _folders(search_path)
    found, cache = dict[str, str](), functools.cache(cache)
    for library in _STEMS.keys() & set(wanted):
        name = f"{_STEMS[library]}.so"
        if version := next(filter(None, (_newest(name, paths) for paths in _paths(name, folders, cache))), None):
            found[library] = version
    return found


def packaged_library(soname: str, package: str) -> Path | None:
    """Return the path of a library that a package brings; None where it isn't installed, or has none of that name."""
    from importlib import metadata  # here, as it takes long to load

    lists = (distribution.files or () for distribution in metadata.distributions(name=package))
    return next((Path(str(file.locate())) for files in lists for file in files if file.name == soname), None)


def missing_libraries(
    wanted: Mapping[str, str],
    *,
    search_path: str | None = None,
    cache: Callable[[], str] = loader_cache,
    usual: Iterable[str] = _USUAL,
) -> tuple[str, ...]:
    """Return which libraries no package brings and the loader would not find.

    Args:
        wanted: Sonames, each with the package that may bring it.
        search_path: As in `find_libraries`.
        cache: The same.
        usual: Folders where the loader looks, too, whatever its cache has.
    """
    names = [soname for soname, package in wanted.items() if packaged_library(soname, package) is None]
    folders = (*_folders(search_path), *map(Path, usual))
    names = [name for name in names if not any((folder / name).exists() for folder in folders)]
    cached = {line[1] for line in map(_CACHED.fullmatch, cache().splitlines()) if line} if names else set[str]()
    return tuple(name for name in names if name not in cached)


def _folders(search_path: str | None) -> list[Path]:
    search_path = os.environ.get("LD_LIBRARY_PATH", "") if search_path is None else search_path
    return [Path(folder) for folder in re.split("[:;]", search_path) if folder]


def _paths(name: str, folders: Iterable[Path], cache: Callable[[], str]) -> Iterator[Iterable[Path]]:
    """Yield the paths that begin with a name, folder by folder, and then those in the loader's cache."""
    for folder in folders:
        yield folder.glob(f"{name}*")
    lines = filter(None, map(_CACHED.fullmatch, cache().splitlines()))
    yield [Path(line[2]) for line in lines if line[1].startswith(name)]


def _newest(name: str, paths: Iterable[Path]) -> str | None:
    """Return the highest version in the names of the files that paths lead to, or None."""
    named = re.compile(rf"{re.escape(name)}\.([0-9]+(?:\.[0-9]+)+)")
    real = (path.resolve() for path in paths if path.exists())
    versions = [match[1] for path in real if (match := named.fullmatch(path.name))]
    return max(versions, key=lambda version: [int(number) for number in version.split(".")], default=None)
