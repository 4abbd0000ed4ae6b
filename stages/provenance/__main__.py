"""provenance: write statements, a bill of materials and a notice of what build/ holds, as publish publishes them."""

from collections.abc import Mapping

from morphstream.artifact.fields import of_file
from morphstream.artifact.manifest import ArchivesManifest, EngineManifest, ModelsManifest
from morphstream.artifact.regular_file import read_regular
from morphstream.source.source import SMALL_BYTES_MAX
from stages.caches import read_cache
from stages.files import write_whole
from stages.params import load_params
from stages.program import read_arguments, run_program
from stages.provenance.documents import documents_of
from stages.provenance.inputs import inputs_of
from stages.workspace import Workspace


def main(workspace: Workspace) -> Mapping[str, object]:
    """Write the documents into build/, and print their paths."""
    read_arguments(__doc__)
    params = load_params(workspace.params)
    paths = {name: workspace.manifests / f"{name}.json" for name in ("models", "archives")}
    with of_file(paths["models"]):
        models = ModelsManifest.from_json(read_regular(paths["models"], SMALL_BYTES_MAX))
    with of_file(paths["archives"]):
        archives = ArchivesManifest.from_json(read_regular(paths["archives"], SMALL_BYTES_MAX))
    caches: dict[str, EngineManifest] = {}
    for build in params.builds.values():
        caches[build.cache_key] = read_cache(workspace.caches / build.cache_key, "run `dvc repro`")
    made = dict.fromkeys(archives.archives)
    documents = documents_of(params, models, archives, caches, inputs_of(workspace), made)
    for path, text in documents.items():
        write_whole(workspace.build / path, text.encode())
        print(workspace.build / path)
    return {"documents": sorted(documents)}


if __name__ == "__main__":
    run_program(main)
