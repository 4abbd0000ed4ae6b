"""Build the images of container/ without a container engine's daemon, then boot and swap in them.

Every instruction is executed, by buildah, in the clean root of a base image. Base images come from no registry here:
debootstrap makes stand-ins, Debian 12 for python:3.11-slim, and Debian 13 for python:3.12-slim and for NVIDIA's Ubuntu,
without its CUDA. `--tensorrt stand-in` makes an empty package of TensorRT's, where NVIDIA's index can't be reached.

It needs root, the Debian packages buildah and debootstrap, 12 GB of disk, and build/ as `make demo` leaves it.
"""

import argparse
import json
import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[1]
CERTIFICATES = "/etc/ssl/certs/ca-certificates.crt"
ENTRYPOINT = "/opt/morphstream/entrypoint.sh"
BASES = {  # the suite of Debian, what it needs, what the image that it stands for has
    "python:3.11-slim": ("bookworm", "ca-certificates,python3-pip,python3-venv", True),
    "python:3.12-slim": ("trixie", "ca-certificates,python3-pip,python3-venv", True),
    "nvidia/cuda:12.9.1-cudnn-runtime-ubuntu24.04": ("trixie", "ca-certificates", False),
}
AS_PYTHONS_IMAGE = "rm -f /usr/lib/python3*/EXTERNALLY-MANAGED && ln -s /usr/bin/python3 /usr/local/bin/python"
SERVE = """
"$@" & served=$!
for _ in $(seq 120); do morphstream serve-health --probe 2>&1 && break; sleep 1; done
kill -TERM $served; wait $served; echo "ended with $?"
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Image:
    """An image, the arguments that it is built with, and the check that it must pass."""

    dockerfile: str
    base: str
    arguments: Mapping[str, str]
    check: Callable[["Container"], str]


@dataclass(frozen=True, slots=True)
class Container:
    """A container of an image, which keeps what is written in it."""

    builder: "Builder"
    name: str

    def run(self, *command: str, **environment: str) -> subprocess.CompletedProcess[str]:
        """Run a command as the image's user, with the image's environment, on a loopback of its own."""
        options = [word for name, value in environment.items() for word in ("--env", f"{name}={value}")]
        mount = f"{ROOT / 'build/demo'}:/pictures:ro"
        started = ("buildah", "run", "--isolation", "chroot", "--volume", mount, *options, self.name, "--", *command)
        own_network = ("unshare", "--net", "sh", "-c", 'ip link set lo up && exec "$@"', "sh")
        return self.builder.call(*own_network, *started, must=False)

    def must(self, expected: str, *command: str, **environment: str) -> str:
        """Run a command and return the line that it must print.

        Raises:
            SystemExit: It doesn't print that.
        """
        done = self.run(*command, **environment)
        for line in (done.stdout + done.stderr).splitlines():
            if expected in line:
                return line.strip()
        sys.exit(f"{' '.join(command)}: expected {expected!r}, seen {done.returncode}:\n{done.stdout}{done.stderr}")

    def main(self) -> list[str]:
        """Return the words that the image starts with."""
        config = json.loads(self.builder.call("buildah", "inspect", self.name).stdout)["OCIv1"]["config"]
        return [*config["Entrypoint"], *config["Cmd"]]


@dataclass(frozen=True, slots=True)
class Builder:
    """A folder that keeps buildah's images, apart from the machine's own."""

    folder: Path

    def call(self, *command: str, must: bool = True) -> subprocess.CompletedProcess[str]:
        """Run a program on these images; what it prints is captured."""
        settings = {**os.environ, "CONTAINERS_STORAGE_CONF": str(self.folder / "storage.conf")}
        done = subprocess.run(command, env=settings, cwd=ROOT, capture_output=True, text=True, check=False)
        if must and done.returncode:
            sys.exit(f"{' '.join(command)}: exit {done.returncode}:\n{done.stdout[-3000:]}{done.stderr[-3000:]}")
        return done

    def prepare(self) -> None:
        """Say where images are kept: in whole copies, which every file system can hold."""
        places = f'runroot = "{self.folder}/run"\ngraphroot = "{self.folder}/images"\n'
        (self.folder / "storage.conf").write_text(f'[storage]\ndriver = "vfs"\n{places}')

    def make_base(self, name: str) -> None:
        """Make the stand-in of a base image, with the certificates that this machine trusts."""
        repository = f"docker.io/{name if '/' in name else f'library/{name}'}"
        if not self.call("buildah", "inspect", "--type", "image", repository, must=False).returncode:
            return
        suite, packages, is_pythons = BASES[name]
        with tempfile.TemporaryDirectory(dir=self.folder) as root:
            self.call("debootstrap", "--variant=minbase", f"--include={packages}", suite, root)
            container = self.call("buildah", "from", "scratch").stdout.strip()
            self.call("buildah", "add", container, root, "/")
        self.call("buildah", "copy", container, CERTIFICATES, CERTIFICATES)
        if is_pythons:
            self.call("buildah", "run", "--isolation", "chroot", container, "--", "sh", "-c", AS_PYTHONS_IMAGE)
        self.call("buildah", "config", "--env", f"PIP_CERT={CERTIFICATES}", container)
        self.call("buildah", "commit", "--rm", container, repository)

    def build(self, name: str, image: Image, volumes: Sequence[str]) -> Container:
        """Build an image, and return a container of it."""
        arguments = {"BASE": image.base, "PIPELINE": "without", **image.arguments}  # all that a FROM names
        options = [word for key, value in arguments.items() for word in ("--build-arg", f"{key}={value}")]
        options += [word for volume in volumes for word in ("--volume", volume)]
        command = ("buildah", "build", "--format", "docker", "--isolation", "chroot", "--pull-never", *options)
        self.call(*command, "--file", f"container/{image.dockerfile}", "--tag", f"morphstream:{name}", ".")
        return Container(
            self, self.call("buildah", "from", "--pull-never", f"localhost/morphstream:{name}").stdout.strip()
        )


def check_cpu(container: Container) -> str:
    """Boot, swap and serve, as the image does by itself."""
    output = "/var/lib/morphstream/out.jpg"
    swap = ("morphstream", "swap", "/pictures/source.png", "/pictures/target.jpg", "-o", output)
    said = [container.must("is good", ENTRYPOINT, "true"), container.must("swapped with", ENTRYPOINT, *swap)]
    said.append(container.must("ended with 143", "bash", "-c", SERVE, "bash", *container.main()))
    return "; ".join(said)


def check_builder(container: Container) -> str:
    """Build engines in the image that no source has, but for the detector, which a registry has."""
    settings = {"MORPHSTREAM_BUILD": "/opt/morphstream/pipeline", "MORPHSTREAM_SOURCE": "/nowhere"}
    return container.must("is good, with fallbacks", ENTRYPOINT, "true", **settings, MORPHSTREAM_GROUPS="masks")


def check_rtx(container: Container) -> str:
    """Install the engines of a GPU that isn't here, and name the provider that would run them."""
    settings = {"MORPHSTREAM_TARGET": "rtx-sm89"}
    said = container.must("is good", ENTRYPOINT, "true", **settings)
    return f"{said}; {container.must('tensorrt_rtx 1.7', 'morphstream', 'doctor')}"


def check_gpu(container: Container) -> str:
    """Name what the provider for TensorRT has and lacks."""
    return container.must("libraries", "morphstream", "doctor")


def stand_in_for_tensorrt(folder: Path) -> list[str]:
    """Make an empty package of TensorRT's name and version, and return the volumes by which pip finds it."""
    (version,) = re.findall(r"^ARG TENSORRT=(.+)$", (ROOT / "container/Dockerfile").read_text(), re.MULTILINE)
    project = folder / "tensorrt"
    (project / "tensorrt_libs").mkdir(parents=True, exist_ok=True)
    (project / "tensorrt_libs/__init__.py").touch()
    build = '[build-system]\nrequires = ["hatchling"]\nbuild-backend = "hatchling.build"\n'
    packages = '[tool.hatch.build.targets.wheel]\npackages = ["tensorrt_libs"]\n'
    named = f'[project]\nname = "tensorrt-cu12"\nversion = "{version}"\n'
    (project / "pyproject.toml").write_text(build + named + packages)
    command = [sys.executable, "-m", "hatchling", "build", "--target", "wheel", "--directory", str(folder / "wheels")]
    subprocess.run(command, cwd=project, check=True, capture_output=True)
    (folder / "pip.conf").write_text("[global]\nfind-links = /stand-ins\n")
    return [f"{folder / 'wheels'}:/stand-ins:ro", f"{folder / 'pip.conf'}:/etc/pip.conf:ro"]


SLIM, CUDA = "python:3.11-slim", "nvidia/cuda:12.9.1-cudnn-runtime-ubuntu24.04"
IMAGES = {
    "cpu": Image(dockerfile="Dockerfile.cpu", base=SLIM, arguments={}, check=check_cpu),
    "builder": Image(dockerfile="Dockerfile.cpu", base=SLIM, arguments={"PIPELINE": "with"}, check=check_builder),
    "rtx": Image(
        dockerfile="Dockerfile",
        base=CUDA,
        arguments={"EXTRA": "rtx", "ARCHIVES": "rtx-cache-*.tar.zst"},
        check=check_rtx,
    ),
    "gpu": Image(dockerfile="Dockerfile", base=CUDA, arguments={}, check=check_gpu),
}


def main() -> int:
    """Print what each image takes to build, and what was seen in it; return 0 if all of it works."""
    parser = argparse.ArgumentParser(prog="python -m bench.images", description=__doc__)
    parser.add_argument("images", nargs="*", choices=[*IMAGES, []], help="(all)")
    parser.add_argument("--folder", type=Path, help="keep base images there, for the next run (a temporary one)")
    parser.add_argument("--tensorrt", choices=("nvidia", "stand-in"), default="nvidia", help="(%(default)s)")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        builder = Builder((options.folder or Path(temporary)).resolve())
        builder.folder.mkdir(parents=True, exist_ok=True)
        builder.prepare()
        volumes = []
        if options.tensorrt == "stand-in":
            volumes = stand_in_for_tensorrt(builder.folder)
        for name in BASES:
            builder.make_base(name)
        for name in options.images or IMAGES:
            start = time.perf_counter()
            container = builder.build(name, IMAGES[name], volumes)
            seconds = time.perf_counter() - start
            print(f"{name}: built in {seconds:.0f} s; {IMAGES[name].check(container)}", flush=True)
            builder.call("buildah", "rm", container.name)
    return 0


if __name__ == "__main__":
    sys.exit(main())
