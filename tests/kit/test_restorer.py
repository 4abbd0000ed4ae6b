"""The restorer keeps its contract and sharpens a face mildly, within the range."""

import numpy as np

from stages.kit.mean_face import FFHQ_512
from stages.kit.restorer import gfpgan
from tests.kit import Array, contract, crop, planes, run, serialized


def face() -> Array:
    return planes(crop(FFHQ_512, 512)) * 2 - 1


def test_the_contract_is_the_real_model_s() -> None:
    shape = [1, 3, 512, 512]
    assert contract(gfpgan()) == ({"input": shape}, {"output": shape})


def test_two_builds_have_the_same_bytes() -> None:
    assert serialized(gfpgan()) == serialized(gfpgan())


def test_a_face_has_stronger_edges_and_stays_the_same_face() -> None:
    before, after = face(), run(gfpgan(), face())[0]
    assert np.abs(np.diff(after)).mean() > 1.1 * np.abs(np.diff(before)).mean()
    assert np.abs(after - before).mean() < 0.02
    assert np.abs(after).max() <= 1


def test_an_even_image_stays_as_it_is() -> None:
    even = np.full((1, 3, 512, 512), 0.25, np.float32)
    np.testing.assert_allclose(run(gfpgan(), even)[0], even, atol=1e-6)
