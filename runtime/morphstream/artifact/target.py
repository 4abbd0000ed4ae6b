"""What engines are built for: arch, builder, toolchain and precision, and the cache key they are published under."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Self

ARCH = re.compile(r"sm[1-9][0-9]{1,2}|portable|x86_64|aarch64")
_VERSION = re.compile(r"[0-9]+(\.[0-9]+)+")

# What each builder's cache key is spelled with: tag and library, in order.
KEY_LIBRARIES: Mapping[str, tuple[tuple[str, str], ...]] = {
    "openvino": (("ov", "openvino"),),
    "tensorrt_rtx": (("rtx", "tensorrt_rtx"), ("ort", "onnxruntime")),
    "tensorrt": (("trt", "tensorrt"), ("ort", "onnxruntime")),
}

# What a cache key of each builder may end in: a precision that all its engines calculate in.
KEY_PRECISIONS: Mapping[str, tuple[str, ...]] = {"openvino": ("bf16",), "tensorrt_rtx": (), "tensorrt": ()}


@dataclass(frozen=True, slots=True, kw_only=True)
class CacheKey:
    """The published name of a target's engine cache, such as ``sm89/trt10.14_ort1.24`` or ``x86_64/ov2026.4_bf16``.

    Attributes:
        arch: ``sm89``, ``x86_64``, ...
        builder: ``openvino``, ``tensorrt_rtx`` or ``tensorrt``.
        versions: ``major.minor`` of each library in the name, by library.
        precision: What all its engines calculate in, ``bf16`` and of ``openvino`` alone; None where the key says none.
    """

    arch: str
    builder: str
    versions: tuple[tuple[str, str], ...]
    precision: str | None = None

    def __post_init__(self) -> None:
        if not ARCH.fullmatch(self.arch):
            raise ValueError(f"expected an arch such as sm89 or x86_64, seen {self.arch!r}")
        libraries = tuple(library for _, library in KEY_LIBRARIES.get(self.builder, ()))
        if not libraries or tuple(library for library, _ in self.versions) != libraries:
            raise ValueError(f"expected builder {sorted(KEY_LIBRARIES)} with its libraries, seen {self.builder!r}")
        for library, version in self.versions:
            if not re.fullmatch(r"[0-9]+\.[0-9]+", version):
                raise ValueError(f"expected {library} as major.minor, seen {version!r}")
        if self.precision is not None and self.precision not in KEY_PRECISIONS[self.builder]:
            allowed = " or ".join(("none", *KEY_PRECISIONS[self.builder]))
            raise ValueError(f"expected precision {allowed} for {self.builder}, seen {self.precision!r}")

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read a cache key from its published name; raises ValueError for another text."""
        for builder, libraries in KEY_LIBRARIES.items():
            pattern = "([a-z0-9_]+)/" + "_".join(rf"{tag}([0-9]+\.[0-9]+)" for tag, _ in libraries)
            if found := re.fullmatch(pattern + "(?:_([a-z][a-z0-9]*))?", text):
                arch, *numbers, precision = found.groups()
                versions = tuple(zip((library for _, library in libraries), numbers, strict=True))
                return cls(arch=arch, builder=builder, versions=versions, precision=precision)
        raise ValueError(f"expected a cache key such as sm89/trt10.14_ort1.24, seen {text!r}")

    def __str__(self) -> str:
        tags = {library: tag for tag, library in KEY_LIBRARIES[self.builder]}
        parts = [f"{tags[library]}{version}" for library, version in self.versions]
        return f"{self.arch}/" + "_".join([*parts, self.precision] if self.precision else parts)


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """What engines are built for.

    Attributes:
        arch: Instruction set of the machine or GPU.
        builder: The program that makes the engines.
        toolchain: Exact version of each library that decides engine bytes, by library.
        precision: As in its cache key.
    """

    arch: str
    builder: str
    toolchain: Mapping[str, str]
    precision: str | None = None

    def __post_init__(self) -> None:
        for library, version in self.toolchain.items():
            if not _VERSION.fullmatch(version):
                raise ValueError(f"expected a version of {library} such as 10.14.1, seen {version!r}")
        _ = self.cache_key

    @property
    def cache_key(self) -> CacheKey:
        """The name its engines are published under."""
        libraries = [library for _, library in KEY_LIBRARIES.get(self.builder, ())]
        if missing := [library for library in libraries if library not in self.toolchain]:
            raise ValueError(f"expected a toolchain with {libraries}, seen one without {missing}")
        versions = tuple((library, ".".join(self.toolchain[library].split(".")[:2])) for library in libraries)
        return CacheKey(arch=self.arch, builder=self.builder, versions=versions, precision=self.precision)
