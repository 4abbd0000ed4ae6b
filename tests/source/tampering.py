"""What somebody who can write to a source can do to a signed publication, one trial after the other."""

import json
import random
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

from tests.layouts import CPU, FILES, ON_DEMAND, publish
from tests.signing import VALIDITY, Signing

Tamper = Callable[[Path], None]
NEW, OLD = (*FILES, *ON_DEMAND), tuple(FILES)


@dataclass(frozen=True, slots=True, kw_only=True)
class Trial:
    """Something that is done to a copy of a publication, and a pattern of what a worker says of it."""

    name: str
    tamper: Tamper
    reason: str = r"expected .*, (seen|which is signed)"


@dataclass(frozen=True, slots=True, kw_only=True)
class Publications:
    """A publisher's first publication and the newer one, each in a folder, both signed."""

    signing: Signing
    old: Path
    new: Path

    @classmethod
    def made(cls, folder: Path) -> "Publications":
        """Publish twice."""
        signing = Signing(folder / "keys")
        old = signing.sign(publish(folder / "old", CPU, files=OLD))
        (old / "README.md").write_text("# A card\n")
        signing.sign(old)
        new = Path(shutil.copytree(old, folder / "new"))
        signing.sign(publish(new, CPU, build=1, files=NEW))
        return cls(signing=signing, old=old, new=new)


def trials(made: Publications) -> Iterator[Trial]:
    """Yield the trials, each for a copy of the newer publication."""
    paths = sorted(path.relative_to(made.new) for path in made.new.rglob("*") if path.is_file())
    for path in (path for path in paths if path.name != "model.onnx"):
        yield Trial(name=f"a byte changed in {path}", tamper=_changed(path, 0.5))
        yield Trial(name=f"a late byte changed in {path}", tamper=_changed(path, 0.9))
        yield Trial(name=f"the first byte changed in {path}", tamper=_changed(path, 0))
        yield Trial(name=f"the last byte lost of {path}", tamper=_cut(path))
        yield Trial(name=f"{path} removed", tamper=_removed(path))
    for path in paths:
        if path.suffix == ".json" and path.name != "1.root.json" and (made.old / path).is_file():
            yield Trial(name=f"the older {path} replayed", tamper=_copied(made.old / path, path))
            yield Trial(name=f"a space added to {path}", tamper=_spaced(path))
    engines = sorted(path for path in paths if path.suffix == ".bin")
    yield Trial(name="two engines' files swapped", tamper=_swapped(*engines[:2]))
    yield Trial(name="two engines' names swapped in the manifest", tamper=_renamed)
    yield Trial(name="the signatures removed", tamper=_without("metadata"), reason="it isn't signed")
    for name in ("timestamp", "snapshot", "targets"):
        yield Trial(name=f"the signature of {name} removed", tamper=_unsigned(name))
    yield Trial(name="the older publication whole", tamper=_whole(made.old), reason="older than what this machine")
    yield Trial(name="metadata older than files", tamper=_copied(made.old / "metadata", Path("metadata")))
    yield Trial(name="files older than metadata", tamper=_older(made))
    stranger = Signing(made.new.parent / "stranger")
    yield Trial(name="signed by a stranger", tamper=_signed_by(stranger))
    yield Trial(name="lists signed by a stranger's key", tamper=_lists_of(stranger))
    yield Trial(name="a stranger's root as the next", tamper=_next_root(stranger), reason="signed by")
    yield Trial(name="an expired list under a lower version", tamper=_expired(made.signing))
    yield Trial(name="signed in the future", tamper=_from_future(made.signing), reason="clock")


def _changed(path: Path, where: float) -> Tamper:
    def tamper(layout: Path) -> None:
        data = bytearray((layout / path).read_bytes())
        data[int(len(data) * where)] ^= 1 << random.Random(str(path)).randrange(7)
        (layout / path).write_bytes(data)

    return tamper


def _cut(path: Path) -> Tamper:
    return _written(path, lambda data: data[:-1])


def _spaced(path: Path) -> Tamper:
    return _written(path, lambda data: data + b" ")


def _written(path: Path, change: Callable[[bytes], bytes]) -> Tamper:
    def tamper(layout: Path) -> None:
        (layout / path).write_bytes(change((layout / path).read_bytes()))

    return tamper


def _removed(path: Path) -> Tamper:
    return lambda layout: (layout / path).unlink()


def _without(folder: str) -> Tamper:
    return lambda layout: shutil.rmtree(layout / folder)


def _copied(source: Path, path: Path) -> Tamper:
    def tamper(layout: Path) -> None:
        if source.is_dir():
            shutil.rmtree(layout / path)
            shutil.copytree(source, layout / path)
        else:
            shutil.copyfile(source, layout / path)

    return tamper


def _swapped(first: Path, second: Path) -> Tamper:
    def tamper(layout: Path) -> None:
        one, other = (layout / first).read_bytes(), (layout / second).read_bytes()
        (layout / first).write_bytes(other)
        (layout / second).write_bytes(one)

    return tamper


def _renamed(layout: Path) -> None:
    path = layout / "trt_cache" / CPU / "manifest.json"
    data = json.loads(path.read_bytes())
    files = data["engine_files"]
    names = ("det_10g.bin", "inswapper_128.bin")
    files[names[0]], files[names[1]] = files[names[1]], files[names[0]]
    path.write_text(json.dumps(data, indent=2) + "\n")


def _unsigned(name: str) -> Tamper:
    def tamper(layout: Path) -> None:
        path = layout / "metadata" / f"{name}.json"
        data = json.loads(path.read_bytes())
        data["signatures"] = []
        path.write_text(json.dumps(data))

    return tamper


def _whole(other: Path) -> Tamper:
    def tamper(layout: Path) -> None:
        shutil.rmtree(layout)
        shutil.copytree(other, layout)

    return tamper


def _older(made: Publications) -> Tamper:
    def tamper(layout: Path) -> None:
        _whole(made.old)(layout)
        shutil.rmtree(layout / "metadata")
        shutil.copytree(made.new / "metadata", layout / "metadata")

    return tamper


def _signed_by(stranger: Signing) -> Tamper:
    def tamper(layout: Path) -> None:
        shutil.rmtree(layout / "metadata")
        stranger.sign(layout)

    return tamper


def _lists_of(stranger: Signing) -> Tamper:
    def tamper(layout: Path) -> None:
        own = (layout / "metadata/1.root.json").read_bytes()
        _signed_by(stranger)(layout)
        (layout / "metadata/1.root.json").write_bytes(own)

    return tamper


def _next_root(stranger: Signing) -> Tamper:
    def tamper(layout: Path) -> None:
        version = max(stranger.roots)
        while version < 2:
            version = stranger.change()
        (layout / "metadata/2.root.json").write_bytes(stranger.roots[2])

    return tamper


def _expired(signing: Signing) -> Tamper:
    def tamper(layout: Path) -> None:
        old = signing.now
        signing.now = old - timedelta(days=20)
        shutil.rmtree(layout / "metadata")
        signing.sign(layout, validity=VALIDITY)
        signing.now = old

    return tamper


def _from_future(signing: Signing) -> Tamper:
    def tamper(layout: Path) -> None:
        old = signing.now
        signing.now = old + timedelta(days=3)
        signing.sign(layout)
        signing.now = old

    return tamper
