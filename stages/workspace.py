"""Where everything of the pipeline is: in one folder, wherever that is."""

from dataclasses import dataclass, field
from pathlib import Path

_PATHS = {
    "params": "params.yaml",
    "dvc_yaml": "dvc.yaml",
    "dvc_lock": "dvc.lock",
    "tracked": "manifests",
    "schemas": "manifests/schema",
    "downloads": ".cache",
    "build": "build",
    "declared": "build/declared",
    "prepared": "build/prepared",
    "engines": "build/engines",
    "caches": "build/trt_cache",
    "archives": "build/archives",
    "manifests": "build/manifests",
    "checked": "build/check",
    "measured": "build/measured",
    "timing": "build/timing",
    "demo": "build/demo",
}


@dataclass(frozen=True, slots=True)
class Workspace:
    """The folder that the pipeline works in, and the paths inside; its ``build`` mirrors the published repository."""

    root: Path
    params: Path = field(init=False)  # every choice that changes what is published
    dvc_yaml: Path = field(init=False)
    dvc_lock: Path = field(init=False)
    tracked: Path = field(init=False)  # the manifests in Git
    schemas: Path = field(init=False)  # of the manifests
    downloads: Path = field(init=False)  # packages that the kit takes files out of
    build: Path = field(init=False)  # what stages make
    declared: Path = field(init=False)  # what decides the result of each stage beside its inputs
    prepared: Path = field(init=False)  # a folder for each prepared model
    engines: Path = field(init=False)  # a folder for each target, with one for each model
    caches: Path = field(init=False)  # engine caches by cache key
    archives: Path = field(init=False)
    manifests: Path = field(init=False)
    checked: Path = field(init=False)  # what `check` found that every machine must find
    measured: Path = field(init=False)  # on this machine; like the next two, no stage's output
    timing: Path = field(init=False)  # of kernels, by builders
    demo: Path = field(init=False)

    def __post_init__(self) -> None:
        for name, path in _PATHS.items():
            object.__setattr__(self, name, self.root / path)
