"""Choose the engine cache for a machine, purely: from a `Machine` and the published cache keys."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace

from morphstream.artifact.errors import NoEngineError
from morphstream.artifact.target import ARCH, KEY_LIBRARIES, CacheKey, Target
from morphstream.machine.probe import Machine

GPU_BUILDERS = {"rtx": "tensorrt_rtx", "trt": "tensorrt"}  # by the prefix of a target's name, best first
PORTABLE = "portable"  # an engine for several archs of GPUs
_CPU_PRECISIONS: Mapping[str, str | None] = {"cpu": None, "cpu-bf16": "bf16"}  # by the target's name
SPELLINGS: Mapping[str, str] = {
    "openvino": "OpenVINO",
    "onnxruntime": "ONNX Runtime",
    "tensorrt_rtx": "TensorRT for RTX",
    "tensorrt": "TensorRT",
}


def candidates(machine: Machine) -> tuple[CacheKey, ...]:
    """Return the cache keys whose engines the machine can run, best first; none in bfloat16, which must be named.

    An engine for a GPU's own arch comes before a portable one, which may lack that arch; only opening it shows.
    """
    pairs = [(arch, builder) for arch in machine.gpu_archs for builder in GPU_BUILDERS.values()]
    pairs += [(PORTABLE, "tensorrt_rtx")] if machine.gpu_archs else []
    return tuple(
        Target(arch=arch, builder=builder, toolchain=machine.libraries).cache_key
        for arch, builder in [*pairs, (machine.arch, "openvino")]
        if ARCH.fullmatch(arch) and all(library in machine.libraries for _, library in KEY_LIBRARIES[builder])
    )


def target_names(machine: Machine) -> list[str]:
    """Return the names of targets that a machine may run: ``auto``, those of CPUs, and those of its GPUs' archs."""
    return ["auto", *_CPU_PRECISIONS, *(f"{prefix}-{arch}" for arch in machine.gpu_archs for prefix in GPU_BUILDERS)]


def check_target(target: str) -> None:
    """Check that a text names a target: ``auto``, ``cpu``, ``cpu-bf16``, ``rtx-smNN``, ``trt-smNN`` or a cache key."""
    if target != "auto":
        _matcher(target, "x86_64")


def select(machine: Machine, published: Iterable[CacheKey], target: str) -> CacheKey:
    """Choose one of the published cache keys.

    Args:
        machine: What the engines should run on.
        published: What there is to choose from.
        target: ``auto`` for the best that the machine can run, never in bfloat16; another target, as `check_target`
            takes it, for that one, whether the machine can run it or not: images are prepared elsewhere.

    Raises:
        NoEngineError: No fitting key is published; names the fact in which the closest one differs.
    """
    keys = sorted(published, key=str)
    if target == "auto":
        if found := [key for key in candidates(machine) if key in keys]:
            return found[0]
        raise _refusal(machine, keys)
    found = list(filter(_matcher(target, machine.arch), keys))
    if not found:
        seen = ", ".join(map(str, keys)) or "none with engines"
        raise NoEngineError(f"expected an archive for {target}, seen {seen}; build it or name another")
    return max(found, key=lambda key: (not _obstacles(key, machine), _version_numbers(key)))


def exact(machine: Machine, target: str) -> CacheKey | None:
    """Return the cache key that a target other than ``auto`` means here; None where its libraries are missing."""
    own = candidates(machine)
    own += tuple(replace(key, precision="bf16") for key in own if key.builder == "openvino")
    with suppress(ValueError):
        own += (CacheKey.parse(target),)
    return next(filter(_matcher(target, machine.arch), own), None)


def check_usable(key: CacheKey, machine: Machine) -> None:
    """Check that a machine can run the engines of a cache key.

    Raises:
        NoEngineError: It can't; names the differing facts.
    """
    if obstacles := _obstacles(key, machine):
        needed, seen, remedy = map(" and ".join, zip(*obstacles, strict=True))
        raise NoEngineError(f"{key}: expected {needed}, seen {seen}; {remedy}, or boot for this machine")


def missing_versions(key: CacheKey, machine: Machine) -> dict[str, str]:
    """Return the versions in a cache key that the machine's libraries don't have, by library."""
    seen = {library: ".".join(version.split(".")[:2]) for library, version in machine.libraries.items()}
    return {library: version for library, version in key.versions if seen.get(library) != version}


def _matcher(target: str, own_arch: str) -> Callable[[CacheKey], bool]:
    """Return whether a key is one that a target means; the target of a CPU is that of the machine's own arch."""
    if target in _CPU_PRECISIONS:
        wanted = (own_arch, "openvino", _CPU_PRECISIONS[target])
        return lambda key: (key.arch, key.builder, key.precision) == wanted
    prefix, _, arch = target.partition("-")
    if (builder := GPU_BUILDERS.get(prefix)) and ARCH.fullmatch(arch):
        return lambda key: (key.arch, key.builder) == (arch, builder)
    try:
        named = CacheKey.parse(target)
    except ValueError as error:
        rule = "auto, cpu, cpu-bf16, rtx-smNN, trt-smNN or a cache key"
        raise ValueError(f"target: expected {rule}, seen {target!r}; name one of these") from error
    return lambda key: key == named


def _version_numbers(key: CacheKey) -> list[tuple[int, str]]:
    """Return a sort key for the versions in a cache key, whose numbers may have any number of digits."""
    numbers = [number.lstrip("0") for _, version in key.versions for number in version.split(".")]
    return [(len(number), number) for number in numbers]


def _has_arch(key: CacheKey, machine: Machine) -> bool:
    portable = [PORTABLE] if machine.gpu_archs else []
    return key.arch in ([machine.arch] if key.builder == "openvino" else [*machine.gpu_archs, *portable])


def _obstacles(key: CacheKey, machine: Machine) -> list[tuple[str, str, str]]:
    """Return what keeps the machine from running a key, each as what is needed, what is seen, and the remedy."""
    if not _has_arch(key, machine):
        return [(f"arch {key.arch}", ", ".join((machine.arch, *machine.gpu_archs)), f"use a machine with {key.arch}")]
    found = [
        (f"{SPELLINGS[library]} {version}", machine.libraries.get(library, "none"), f"install {library} {version}")
        for library, version in missing_versions(key, machine).items()
    ]
    if key.precision == "bf16" and not machine.has_bfloat16:
        found.append(("a CPU with bfloat16", "one without", "use another machine"))
    return found


def _refusal(machine: Machine, published: Sequence[CacheKey]) -> NoEngineError:
    expected = f"expected an archive for {next(iter(candidates(machine)), machine.arch)}"
    keys = [key for key in published if key.precision is None]
    if not keys:
        seen = f"{published[0]}, which has to be named" if published else "none with engines"
        return NoEngineError(f"{expected}, seen {seen}; run `dvc repro`")
    closest = min(keys, key=lambda key: (not _has_arch(key, machine), len(_obstacles(key, machine))))
    needed, _, remedy = map(" and ".join, zip(*_obstacles(closest, machine), strict=True))
    return NoEngineError(f"{expected}, seen {closest} ({needed}); {remedy} or rebuild")
