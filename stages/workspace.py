"""Where everything of the pipeline is: in one folder, wherever that is."""

from dataclasses import dataclass, field
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Workspace:
    """The folder that the pipeline works in. Its ``build`` mirrors the published repository.

    Attributes:
        root: The folder; all other paths begin with it.
        params: Every choice that changes what is published.
        dvc_yaml: The pipeline.
        dvc_lock: What DVC recorded of each stage.
        tracked: The manifests of models and archives in Git.
        schemas: The JSON Schema of each manifest.
        downloads: Packages that the kit takes files out of.
        build: What stages make.
        declared: What decides the result of each stage beside its inputs.
        prepared: A folder for each prepared model.
        engines: A folder for each target, with one for each model.
        caches: Engine caches by cache key.
        archives: Archives of engine caches and models.
        manifests: The manifests of models and archives.
        checked: What `check` found that every machine must find, by model.
        measured: What was measured on this machine; like the next two, no stage's output.
        timing: What builders measured on this machine.
        demo: The pictures and the store of `demo`.
    """

    root: Path
    params: Path = field(init=False)
    dvc_yaml: Path = field(init=False)
    dvc_lock: Path = field(init=False)
    tracked: Path = field(init=False)
    schemas: Path = field(init=False)
    downloads: Path = field(init=False)
    build: Path = field(init=False)
    declared: Path = field(init=False)
    prepared: Path = field(init=False)
    engines: Path = field(init=False)
    caches: Path = field(init=False)
    archives: Path = field(init=False)
    manifests: Path = field(init=False)
    checked: Path = field(init=False)
    measured: Path = field(init=False)
    timing: Path = field(init=False)
    demo: Path = field(init=False)

    def __post_init__(self) -> None:
        for name, path in _PATHS.items():
            object.__setattr__(self, name, self.root / path)


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
