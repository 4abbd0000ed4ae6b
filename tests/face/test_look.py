"""A look is one value: it refuses what nothing can draw, and names the models that it needs."""

import subprocess
import sys
from typing import Any

import pytest

from morphstream.face.look import FACE_REGIONS, Look


@pytest.mark.parametrize(
    ("values", "seen"),
    [
        ({"feather": -0.1}, "feather of 0..0.5 of the crop's side, seen -0.1"),
        ({"feather": float("nan")}, "seen nan"),
        ({"feather": 0.6}, "seen 0.6"),
        ({"occluder": "xseg_4"}, "seen 'xseg_4'"),
        ({"parser": "bisenet"}, "seen 'bisenet'"),
        ({"parser": None}, "a parser of bisenet_resnet_34, bisenet_resnet_18, seen None"),
        ({"regions": frozenset()}, "seen none"),
        ({"regions": frozenset({"skin", "toe", "arm"})}, "seen arm, toe"),
        ({"pixel_boost": 0}, "a pixel boost of 1..4096 pixels, seen 0"),
        ({"search": "faces"}, "a search of persons, seen 'faces'"),
        ({"landmarker": "3dfan4"}, "a landmarker of 2dfan4, fan_68_5, seen '3dfan4'"),
        ({"angles": (0.0, 400.0)}, r"angles of -360..360 degrees at most, seen \(0.0, 400.0\)"),
        ({"angles": (float("nan"),)}, r"seen \(nan,\)"),
        ({"min_score": 0.01}, "a minimum score of 0.05..1, seen 0.01"),
        ({"min_score": float("nan")}, "seen nan"),
        ({"detector_size": 31}, "a detector size of 32..8192 pixels, seen 31"),
        ({"detector_size": 8193}, "seen 8193"),
        ({"restorer": "codeformer"}, "a restorer of gfpgan, seen 'codeformer'"),
    ],
)
def test_a_look_that_there_is_not_is_refused(values: dict[str, Any], seen: str) -> None:
    with pytest.raises(ValueError, match=f"^look: expected .*{seen}$"):
        Look(**values)


@pytest.mark.parametrize(
    ("look", "finding", "drawing"),
    [
        (Look(), (), ("xseg_1",)),
        (Look(occluder="many"), (), ("xseg_1", "xseg_2", "xseg_3")),
        (Look(occluder=None, regions=FACE_REGIONS), (), ("bisenet_resnet_34",)),
        (
            Look(occluder="xseg_3", regions=FACE_REGIONS, parser="bisenet_resnet_18"),
            (),
            ("xseg_3", "bisenet_resnet_18"),
        ),
        (Look(occluder=None), (), ()),
        (Look(occluder=None, landmarker="fan_68_5"), ("fan_68_5",), ()),
        (Look(occluder=None, search="persons"), ("yolov8n",), ()),
        (Look(landmarker="2dfan4", restorer="gfpgan"), ("fan_68_5", "2dfan4"), ("xseg_1", "gfpgan")),
    ],
    ids=["by default", "many", "regions", "both", "none", "points", "persons", "points and a restorer"],
)
def test_a_look_names_the_models_that_it_needs(look: Look, finding: tuple[str, ...], drawing: tuple[str, ...]) -> None:
    assert (look.finding_models, look.drawing_models) == (finding, drawing)
    assert look.models == finding + drawing


def test_looks_compare_and_hash_by_value() -> None:
    assert len({Look(), Look(feather=0.08), Look(regions=frozenset({"nose"})), Look(regions=frozenset({"nose"}))}) == 2


def test_a_look_is_made_without_loading_what_draws_it() -> None:
    code = "import sys, morphstream; morphstream.Look(); print(sorted({'numpy', 'cv2', 'openvino'} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, "[]\n"), done.stderr
