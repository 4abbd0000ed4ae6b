"""A target has one cache key, and a cache key has one spelling."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from morphstream.artifact.target import KEY_LIBRARIES, KEY_PRECISIONS, CacheKey, Target

GOLDEN = {
    "x86_64/ov2026.4": ("x86_64", "openvino", {"openvino": "2026.4.1"}),
    "sm89/rtx1.7_ort1.31": ("sm89", "tensorrt_rtx", {"tensorrt_rtx": "1.7.1.116", "onnxruntime": "1.31.1"}),
    "sm89/trt10.14_ort1.24": ("sm89", "tensorrt", {"tensorrt": "10.14.1", "onnxruntime": "1.24.4"}),
}

version = st.tuples(st.integers(0, 3000), st.integers(0, 99)).map(lambda pair: f"{pair[0]}.{pair[1]}")


@st.composite
def cache_keys(draw: st.DrawFn) -> CacheKey:
    builder = draw(st.sampled_from(sorted(KEY_LIBRARIES)))
    arch = draw(st.sampled_from(["sm75", "sm86", "sm120", "portable", "x86_64", "aarch64"]))
    versions = tuple((library, draw(version)) for _, library in KEY_LIBRARIES[builder])
    precision = draw(st.sampled_from([None, *KEY_PRECISIONS[builder]]))
    return CacheKey(arch=arch, builder=builder, versions=versions, precision=precision)


@pytest.mark.parametrize("name", GOLDEN)
def test_a_target_is_published_under_its_cache_key(name: str) -> None:
    arch, builder, toolchain = GOLDEN[name]
    key = Target(arch=arch, builder=builder, toolchain=toolchain).cache_key
    assert str(key) == name
    assert CacheKey.parse(name) == key
    assert (key.arch, key.builder) == (arch, builder)


def test_a_target_in_bfloat16_has_a_cache_key_of_its_own() -> None:
    arch, builder, toolchain = GOLDEN["x86_64/ov2026.4"]
    key = Target(arch=arch, builder=builder, toolchain=toolchain, precision="bf16").cache_key
    assert str(key) == "x86_64/ov2026.4_bf16"
    assert CacheKey.parse("x86_64/ov2026.4_bf16") == key
    assert key != CacheKey.parse("x86_64/ov2026.4")


@given(cache_keys())
def test_a_cache_key_survives_its_name(key: CacheKey) -> None:
    assert CacheKey.parse(str(key)) == key


def test_libraries_outside_the_cache_key_do_not_change_it() -> None:
    toolchain = {"tensorrt": "10.14.1", "onnxruntime": "1.24.4", "cuda": "12.8"}
    assert str(Target(arch="sm89", builder="tensorrt", toolchain=toolchain).cache_key) == "sm89/trt10.14_ort1.24"


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("", id="nothing"),
        pytest.param("sm89", id="an arch alone"),
        pytest.param("sm89/", id="no versions"),
        pytest.param("sm89/trt10.14", id="a library short"),
        pytest.param("sm89/trt10.14_ort1.24_ort1.24", id="a library twice"),
        pytest.param("sm89/ort1.24_trt10.14", id="another order"),
        pytest.param("sm89/trt10_ort1.24", id="no minor version"),
        pytest.param("sm89/trt10.14.1_ort1.24", id="a patch version"),
        pytest.param("sm8/trt10.14_ort1.24", id="an arch of one digit"),
        pytest.param("SM89/trt10.14_ort1.24", id="upper case"),
        pytest.param("../trt10.14_ort1.24", id="a traversal"),
        pytest.param("a/sm89/trt10.14_ort1.24", id="a folder above"),
        pytest.param("sm89/trt10.14_ort1.24\n", id="a line end"),
        pytest.param("x86_64/ov2026.4_fp32", id="a precision that needs no name"),
        pytest.param("x86_64/ov2026.4_bf16_bf16", id="a precision twice"),
        pytest.param("x86_64/ov2026.4_", id="an end without a precision"),
        pytest.param("x86_64/ov2026.4bf16", id="a precision without its mark"),
        pytest.param("x86_64/bf16_ov2026.4", id="a precision in front"),
        pytest.param("sm89/rtx1.7_ort1.31_bf16", id="a precision of a GPU"),
        pytest.param("x86_64/ov2026.4_bf16\n", id="a line end behind a precision"),
        pytest.param("sm89/trt\u0661.14_ort1.24", id="a digit of another script"),
    ],
)
def test_what_is_no_cache_key_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"^expected"):
        CacheKey.parse(text)


@pytest.mark.parametrize(
    ("builder", "versions"),
    [
        pytest.param("onnxruntime", (("onnxruntime", "1.24"),), id="an unknown builder"),
        pytest.param("openvino", (), id="no libraries"),
        pytest.param("openvino", (("tensorrt", "10.14"),), id="another builder's library"),
        pytest.param("openvino", (("openvino", "2026.4.1"),), id="a patch version"),
    ],
)
def test_a_cache_key_of_other_parts_is_refused(builder: str, versions: tuple[tuple[str, str], ...]) -> None:
    with pytest.raises(ValueError, match=r"^expected"):
        CacheKey(arch="x86_64", builder=builder, versions=versions)


@pytest.mark.parametrize(
    ("builder", "precision"),
    [("openvino", "fp32"), ("openvino", ""), ("tensorrt_rtx", "bf16"), ("tensorrt", "bf16")],
)
def test_a_precision_that_its_builder_has_not_is_refused(builder: str, precision: str) -> None:
    versions = tuple((library, "1.2") for _, library in KEY_LIBRARIES[builder])
    with pytest.raises(ValueError, match=rf"^expected precision none.* for {builder}, seen '{precision}'$"):
        CacheKey(arch="x86_64", builder=builder, versions=versions, precision=precision)
    toolchain = {library: "1.2.3" for _, library in KEY_LIBRARIES[builder]}
    with pytest.raises(ValueError, match=r"^expected precision"):
        Target(arch="x86_64", builder=builder, toolchain=toolchain, precision=precision)


@pytest.mark.parametrize(
    ("arch", "builder", "toolchain"),
    [
        pytest.param("sm89", "tensorrt", {"tensorrt": "10.14.1"}, id="a library short"),
        pytest.param("x86_64", "openvino", {"openvino": "2026"}, id="a major version alone"),
        pytest.param("x86_64", "openvino", {"openvino": "2026.4rc1"}, id="a pre-release"),
        pytest.param("gpu", "openvino", {"openvino": "2026.4.1"}, id="an unknown arch"),
        pytest.param("x86_64", "ncnn", {"openvino": "2026.4.1"}, id="an unknown builder"),
    ],
)
def test_an_impossible_target_is_refused(arch: str, builder: str, toolchain: dict[str, str]) -> None:
    with pytest.raises(ValueError, match=r"^expected"):
        Target(arch=arch, builder=builder, toolchain=toolchain)
