"""A folder is signed as a whole by OpenSSF's model-signing, and any other folder is refused."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from stages.sign.keys import SignError, make_key
from stages.sign.release import make_release_key, sign_release, verify_release
from tests.layouts import CPU, publish


def test_a_release_is_verified_and_a_changed_added_or_missing_file_refused(tmp_path: Path) -> None:
    layout, key, bundle = publish(tmp_path / "layout", CPU), tmp_path / "key.pem", tmp_path / "layout.sig"
    public = tmp_path / "key.pem.pub"
    make_release_key(key)
    sign_release(layout, key, bundle)
    verify_release(layout, bundle, public)
    command = [sys.executable, "-m", "model_signing", "verify", "key", str(layout)]
    done = subprocess.run(
        [*command, "--signature", str(bundle), "--public_key", str(public)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr  # by its own program
    (layout / ".cache").mkdir()
    (layout / ".cache/of a download").write_text("x")
    verify_release(layout, bundle, public)
    model, before = layout / "model.onnx", (layout / "model.onnx").read_bytes()
    for change in (lambda: model.write_bytes(b"other"), model.unlink, lambda: (layout / "more").write_text("x")):
        change()
        with pytest.raises(SignError, match="expected what was signed"):
            verify_release(layout, bundle, public)
        model.write_bytes(before)
    (layout / "more").unlink()
    make_release_key(tmp_path / "other.pem")
    with pytest.raises(SignError, match="expected what was signed"):
        verify_release(layout, bundle, tmp_path / "other.pem.pub")


def test_a_signature_that_somebody_changed_is_refused_in_a_line(tmp_path: Path) -> None:
    layout, key, bundle = publish(tmp_path / "layout", CPU), tmp_path / "key.pem", tmp_path / "layout.sig"
    make_release_key(key)
    sign_release(layout, key, bundle)
    signed = bundle.read_text()
    for name, value in (("sig", '"AAAA"'), ("payload", '"e30="'), ("signatures", "[]"), ("payloadType", '"x"')):
        data = json.loads(signed)
        envelope = data["dsseEnvelope"]
        (envelope["signatures"][0] if name == "sig" else envelope)[name] = json.loads(value)
        bundle.write_text(json.dumps(data))
        with pytest.raises(SignError, match="expected what was signed"):
            verify_release(layout, bundle, tmp_path / "key.pem.pub")


def test_what_cant_be_signed_is_refused_in_a_line_and_nothing_is_left(tmp_path: Path) -> None:
    layout = publish(tmp_path / "layout", CPU)
    make_key(tmp_path / "ed25519.pem")
    with pytest.raises(SignError, match="expected a folder and a key to sign it with"):
        sign_release(layout, tmp_path / "ed25519.pem", tmp_path / "layout.sig")
    with pytest.raises(SignError, match="expected a file outside the folder"):
        sign_release(layout, tmp_path / "ed25519.pem", layout / "layout.sig")
    with pytest.raises(SignError, match="expected a folder, seen none"):
        sign_release(tmp_path / "nothing", tmp_path / "ed25519.pem", tmp_path / "layout.sig")
    (tmp_path / "empty").mkdir()
    with pytest.raises(SignError, match="expected files to sign, seen none"):
        sign_release(tmp_path / "empty", tmp_path / "ed25519.pem", tmp_path / "layout.sig")
    make_release_key(tmp_path / "key.pem")
    (tmp_path / "key.pem").chmod(0o640)
    with pytest.raises(SignError, match="its owner alone can read, seen mode 640"):
        sign_release(layout, tmp_path / "key.pem", tmp_path / "layout.sig")
    assert not list(tmp_path.glob("*.sig")) + list(tmp_path.glob(".*"))
