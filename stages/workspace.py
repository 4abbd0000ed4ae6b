"""Where everything of the pipeline is: in one folder, wherever that is."""

from dataclasses import dataclass
from pathlib import Path

# Folders of build/ that no model may be in, as stages and commands make them.
MADE = (
    "archives",
    "check",
    "declared",
    "demo",
    "deploy",
    "engines",
    "gpu_engine",
    "manifests",
    "measured",
    "parity",
    "prepared",
    "report",
    "timing",
    "trt_cache",
)


@dataclass(frozen=True, slots=True)
class _Inside:
    """A path inside a workspace, from the workspace's root."""

    path: str

    def __get__(self, workspace: "Workspace", owner: type) -> Path:
        return workspace.root / self.path


@dataclass(frozen=True)  # with slots, Python 3.11 refuses to set one of these paths with a misleading error
class Workspace:
    """The folder that the pipeline works in, and the paths inside; its ``build`` mirrors the published repository."""

    root: Path
    params = _Inside("params.yaml")  # every choice that changes what is published
    dvc_yaml = _Inside("dvc.yaml")
    tracked = _Inside("manifests")  # the manifests in Git
    schemas = _Inside("manifests/schema")  # of the manifests
    downloads = _Inside(".cache")  # packages that the kit takes files out of
    build = _Inside("build")  # what stages make
    declared = _Inside("build/declared")  # what decides the result of each stage beside its inputs
    engines = _Inside("build/engines")  # a folder for each model, with one for each target that needs no GPU
    gpu_engine = _Inside("build/gpu_engine")  # likewise, for targets that need their own
    caches = _Inside("build/trt_cache")  # engine caches by cache key
    archives = _Inside("build/archives")
    manifests = _Inside("build/manifests")
    checked = _Inside("build/check")  # what `check` found that every machine must find
    measured = _Inside("build/measured")  # on this machine; like the next four, no stage's output
    report = _Inside("build/report")  # a page on that
    prepared = _Inside("build/prepared")  # a folder for each prepared model, of which its engines are made
    timing = _Inside("build/timing")  # of kernels, by builders
    demo = _Inside("build/demo")
