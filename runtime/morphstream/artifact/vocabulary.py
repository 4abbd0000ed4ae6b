"""The words and spellings that manifests may use, for their readers, their writers and params.yaml alike."""

from morphstream.artifact.fields import Form

SHARED = "shared"  # the group of files that several models share
SWAP_MODEL = "inswapper_128_fp16"  # the default preset of the model card
RUNTIME_CACHE = "runtime_cache"  # kernels of an engine that a GPU has compiled
KINDS = ("ir", "ir_weights", "engine", "ep_context", "profile", "timing", "emap", RUNTIME_CACHE)
ENGINE_PRECISIONS = ("fp32", "fp16", "bf16")

ORIGINS = ("kit", "hub", "folder")
ROLES = ("detector", "embedder", "swapper", "occluder", "parser", "landmarker", "person_detector", "restorer")
DELIVERIES = ("baked", "stream", "on_request")
MODEL_PRECISIONS = ("fp32", "fp16")
DEPLOY_TAGS = ("develop", "latest")

MANIFEST = "manifest.json"  # of an engine cache, beside its files
ARCHIVES = "manifests/archives.json"  # of all archives, in the published repository
MODELS = "manifests/models.json"  # and of all models

_CONTROL = r"\x00-\x1f\x7f-\x9f\ud800-\udfff"  # with halves of characters, which no file name can hold
_FILE = rf"(?!\.)[^/\\{_CONTROL}]{{1,255}}"
_PATH = rf"(?!.*(^|/)\.{{0,2}}(/|$))[^\\{_CONTROL}]+"  # no segment is empty, . or ..

FILE_NAME = Form(_FILE, "a file name of at most 255 characters without /, \\, control characters or leading dot")
CODE_ARCHIVE = Form(rf"deploy/({'|'.join(DEPLOY_TAGS)})/app_code\.tar\.zst", "the code archive of a tag")
ARCHIVE_NAME = Form(
    rf"(?=.*\.tar\.zst$){_FILE}|{CODE_ARCHIVE.pattern}",
    "a plain file name that ends in .tar.zst, or that of a code archive",
)
SAFE_PATH = Form(_PATH, "a relative path without .., \\ or control characters")
MODEL_PATH = Form(rf"(?=.*\.onnx$){_PATH}", "a relative path without .., \\ or control characters, ending in .onnx")
MODEL_NAME = Form(r"[A-Za-z0-9][A-Za-z0-9_.-]*", "a model's name such as det_10g")
GROUP = Form(MODEL_NAME.pattern, "a group such as core")
CLASS_NAME = Form(r"[A-Za-z_][A-Za-z0-9_]*", "a class name such as DirectSCRFD")
LIBRARY = Form(r"[a-z][a-z0-9_-]*", "a library such as onnxruntime")
VERSION = Form(r"[0-9]+(\.[0-9]+)+", "a version such as 10.14.1")
LICENCE = Form(rf"(?=.*\S)[^{_CONTROL}]+", "a licence in words, on one line")


def archive_path(name: str) -> str:
    """Return the path of an archive in the published repository, from its name in a manifest."""
    return name if "/" in name else f"archives/{name}"


def cache_path(key: object) -> str:
    """Return the path of the engine cache of a cache key in the published repository."""
    return f"trt_cache/{key}"
