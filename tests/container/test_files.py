"""The container's files pass their linters, agree with the project's, and let nothing secret near an image."""

import json
import os
import re
import subprocess
import sys
import tomllib
from ipaddress import ip_address
from pathlib import Path

import pathspec
import pytest
import yaml

from morphstream.cli.live_options import add_live, check_live, page_options_of
from morphstream.cli.options import Parser
from morphstream.machine.libraries import TENSORRT_LIBRARIES

ROOT = Path(__file__).parents[2]
CONTAINER = ROOT / "container"
BIN = Path(sys.executable).parent  # what the development extra brings
DOCKERFILES = (CONTAINER / "Dockerfile", CONTAINER / "Dockerfile.cpu")
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]


def lint(program: str, *paths: Path) -> str:
    done = subprocess.run([BIN / program, *paths], capture_output=True, text=True, check=False)
    return done.stdout + done.stderr


def defaults_of(dockerfile: Path) -> dict[str, str]:
    """Return what build arguments are where nobody states them."""
    return dict(re.findall(r"^ARG (\w+)=(.*)$", dockerfile.read_text(), re.MULTILINE))


def test_shellcheck_finds_nothing_in_any_script(tmp_path: Path) -> None:
    assert (
        lint("shellcheck", CONTAINER / "entrypoint.sh", *(ROOT / ".ci").iterdir(), *(ROOT / "scripts").glob("*.sh"))
        == ""
    )
    (tmp_path / "odd.sh").write_text("#!/bin/sh\nrm $1\n")
    assert "SC2086" in lint("shellcheck", tmp_path / "odd.sh")


def test_hadolint_finds_nothing(tmp_path: Path) -> None:
    assert lint("hadolint", *DOCKERFILES) == ""
    (tmp_path / "Dockerfile").write_text("FROM debian\n")
    assert "DL3006" in lint("hadolint", tmp_path / "Dockerfile")


def test_the_entry_point_can_be_started() -> None:
    assert os.access(CONTAINER / "entrypoint.sh", os.X_OK)


@pytest.mark.parametrize("dockerfile", DOCKERFILES, ids=["gpu", "cpu"])
def test_an_image_has_no_root_and_a_check(dockerfile: Path) -> None:
    text = dockerfile.read_text()
    assert re.findall(r"^USER (.*)$", text, re.MULTILINE) == ["10001:10001"]
    assert 'CMD ["morphstream", "serve-health", "--probe"]' in text
    assert 'ENTRYPOINT ["/opt/morphstream/entrypoint.sh"]' in text
    assert defaults_of(dockerfile)["VERSION"] == "unknown"  # the build that knows it gives it: docs/releasing.md
    assert not re.search(r"TOKEN|SECRET|PASSWORD", text)


def test_the_gpu_image_has_the_tensorrt_that_params_declare() -> None:
    declared = yaml.safe_load((ROOT / "params.yaml").read_text())["targets"]["trt-sm89"]["toolchain"]["tensorrt"]
    assert defaults_of(CONTAINER / "Dockerfile")["TENSORRT"].startswith(f"{declared}.")
    assert defaults_of(CONTAINER / "Dockerfile")["EXTRA"] in PROJECT["optional-dependencies"]


def test_the_gpu_image_has_every_library_that_the_provider_for_tensorrt_needs() -> None:
    """Source: NVIDIA's Dockerfiles: a cudnn-runtime image has cuda-libraries-12-9 and libcudnn9-cuda-12."""
    defaults, text = defaults_of(CONTAINER / "Dockerfile"), (CONTAINER / "Dockerfile").read_text()
    assert re.fullmatch(r"nvidia/cuda:12\.9\.[0-9]+-cudnn-runtime-ubuntu24\.04", defaults["BASE"])
    cuda = {f"lib{name}" for name in ("cudart.so.12", "cublas.so.12", "cublasLt.so.12", "curand.so.10", "cufft.so.11")}
    tensorrt = {soname for soname, package in TENSORRT_LIBRARIES.items() if package == "tensorrt-cu12-libs"}
    assert {*cuda, "libcudnn.so.9", *tensorrt} == set(TENSORRT_LIBRARIES)
    assert '"tensorrt-cu12==$TENSORRT"' in text
    assert "/tensorrt_libs" in text  # where the loader looks
    assert {"compute", "utility"} <= set(re.findall(r"\w+", text.partition("NVIDIA_DRIVER_CAPABILITIES=")[2])[:3])


def test_the_extra_for_tensorrt_has_the_versions_of_the_gpu_image() -> None:
    extras = PROJECT["optional-dependencies"]
    (runtime,) = (line for line in extras["gpu"] if line.startswith("onnxruntime-gpu"))
    pinned = f"tensorrt-cu12=={defaults_of(CONTAINER / 'Dockerfile')['TENSORRT']}"
    assert [line.partition(";")[0] for line in extras["tensorrt"]] == [
        "morphstream[gpu]",
        runtime.replace("onnxruntime-gpu", "onnxruntime-gpu[cuda,cudnn]"),
        pinned,
    ]


@pytest.mark.parametrize("dockerfile", DOCKERFILES, ids=["gpu", "cpu"])
def test_an_image_serves_the_page_and_its_health_where_the_check_asks(dockerfile: Path) -> None:
    text = dockerfile.read_text()
    (command,) = re.findall(r"^CMD (.*)$", text, re.MULTILINE)
    (program, verb, *words), parser = json.loads(command), Parser()
    add_live(parser)
    options = parser.parse_args(words)
    check_live(options)
    page = page_options_of(options, "")
    assert (program, verb, options.page) == ("morphstream", "live", True)
    assert [ip_address(host).is_unspecified for host in (page.host, options.health[0])] == [True, True]
    assert re.findall(r"^EXPOSE (.*)$", text, re.MULTILINE) == [f"{page.port} {options.health[1]}"]
    ports = yaml.safe_load((CONTAINER / "compose.yaml").read_text())["x-worker"]["ports"]
    assert ports == [f"127.0.0.1:${{MORPHSTREAM_PORT:-{page.port}}}:{page.port}"]
    assert "[$EXTRA,live," in text or "[cpu,live," in text


@pytest.mark.parametrize("dockerfile", DOCKERFILES, ids=["gpu", "cpu"])
def test_the_pipeline_is_in_an_image_on_request_alone(dockerfile: Path) -> None:
    text = dockerfile.read_text()
    assert defaults_of(dockerfile)["PIPELINE"] == "without"
    assert text.index("ARG PIPELINE=") < text.index("FROM ")  # else no FROM may name it
    without, made = re.split(r"^FROM environment AS with-pipeline$", text, flags=re.MULTILINE)
    assert "FROM environment AS without-pipeline" in without
    assert "pipeline]" in made
    assert "FROM ${PIPELINE}-pipeline AS furnished" in made
    assert re.findall(r"^COPY --from=(\w+) /opt/morphstream", made, re.MULTILINE) == ["furnished"]


def test_the_builder_starts_with_what_an_image_has(tmp_path: Path) -> None:
    copied = re.findall(
        r"^COPY (params\.yaml|stages) /opt/morphstream/pipeline", DOCKERFILES[1].read_text(), re.MULTILINE
    )
    for name in copied:
        (tmp_path / name).symlink_to(ROOT / name)
    command = [sys.executable, "-m", "stages.build", "no-such-target", "--into", str(tmp_path / "into")]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "expected one of params.yaml: cpu (x86_64/" in done.stderr


def test_a_build_sees_what_it_copies_and_nothing_else() -> None:
    ignored = pathspec.GitIgnoreSpec.from_lines((ROOT / ".dockerignore").read_text().splitlines())
    copied = {
        path
        for dockerfile in DOCKERFILES
        for line in re.findall(r"^COPY (?!--from)(.*) \S+$", dockerfile.read_text(), re.MULTILINE)
        for path in line.split()
    }
    for path in copied:
        file = path.replace("${ARCHIVES}", "cpu-cache-x86_64.tar.zst") + ("models.json" if path.endswith("/") else "")
        assert not ignored.match_file(file), path
        assert path.startswith("build/") or (ROOT / path).exists(), path
    for path in (".git/config", ".env", "hf_token", "container/hf_token", "store/current.json", "build/models/a.onnx"):
        assert ignored.match_file(path), path


def test_a_composed_worker_may_write_to_its_volume_alone() -> None:
    compose = yaml.safe_load((CONTAINER / "compose.yaml").read_text())
    for service in compose["services"].values():
        assert service["read_only"]
        assert service["init"]
        assert service["cap_drop"] == ["ALL"]
        assert service["security_opt"] == ["no-new-privileges:true"]
        assert [volume.partition(":")[2] for volume in service["volumes"]] == ["/var/lib/morphstream"]
        assert service["secrets"] == ["hf_token", "page_token"]
        assert not {"HF_TOKEN", "MORPHSTREAM_TOKEN"} & service["environment"].keys()
        assert (CONTAINER / service["build"]["context"] / service["build"]["dockerfile"]).exists()
