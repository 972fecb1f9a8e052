"""Scenes: how they are drawn, what is said of them, and what never occurs in training."""

from __future__ import annotations

import math
from itertools import combinations

import pytest
import torch

from pushforward.data import Caption, Scene, SceneShape, load, render_scenes
from pushforward.data.captions import WORDS, Thing
from pushforward.data.scene_sampling import HELD_OUT, SHARES, composition, draw_scenes
from pushforward.data.scenes import (
    BACKGROUND,
    COLORS,
    EXTENTS,
    KINDS,
    RELATIONS,
    coverage,
    relation,
)
from pushforward.errors import InputError


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def pairs(scene: Scene) -> set[tuple[str, str, str]]:
    """All compositions of a scene."""
    return {composition(one, other) for one, other in combinations(scene.shapes, 2)}


# -- drawing ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "area"),
    [("circle", math.pi), ("square", math.pi), ("triangle", 3 * math.sqrt(3) / 4 * 1.3**2)],
)
def test_a_shape_covers_its_area_around_its_center(kind: str, area: float) -> None:
    x, y, radius = torch.tensor([0.52]), torch.tensor([0.47]), torch.tensor([0.2])
    cover = coverage(kind, x, y, radius, 64)[0]
    assert float(cover.sum()) == pytest.approx(area * (0.2 * 64) ** 2, rel=0.01)
    middles = (torch.arange(64) + 0.5) / 64
    assert float((cover.sum(0) * middles).sum() / cover.sum()) == pytest.approx(0.52, abs=1e-3)
    assert float((cover.sum(1) * middles).sum() / cover.sum()) == pytest.approx(0.47, abs=3e-3)


@pytest.mark.parametrize("kind", KINDS)
def test_pixels_at_the_outline_are_covered_in_part(kind: str) -> None:
    # Against the fraction of 16 x 16 points of each pixel that lie inside.
    place = torch.tensor([0.513]), torch.tensor([0.487]), torch.tensor([0.17])
    cover = coverage(kind, *place, 32)[0]
    fine = (coverage(kind, *place, 32 * 16)[0] > 0.5).float()
    exact = fine.reshape(32, 16, 32, 16).mean((1, 3))
    # Where two sides cross a pixel in the middle, together they cover less than either: at a corner
    # of a square 1/4 for 1/2, and the points are 1/16 apart.
    worst = {"circle": 1 / 16, "square": 1 / 4 + 1 / 16, "triangle": 3 / 8}
    assert float((cover - exact).abs().max()) < worst[kind]
    assert float((cover - exact).abs().sum() / exact.sum()) < 0.03


@pytest.mark.parametrize("kind", KINDS)
def test_a_shape_ends_where_it_says(kind: str) -> None:
    # In a picture so fine that the outline is thin.
    cover = coverage(kind, *(torch.tensor([value]) for value in (0.5, 0.5, 0.2)), 512)[0] > 0.5
    columns, rows = cover.any(0).nonzero().ravel(), cover.any(1).nonzero().ravel()
    found = [256 - columns[0], columns[-1] + 1 - 256, 256 - rows[0], rows[-1] + 1 - 256]
    wanted = [0.2 * 512 * reach for reach in EXTENTS[kind]]
    assert torch.stack(found).tolist() == pytest.approx(wanted, abs=1.5)


def test_pictures_have_the_colors_of_their_shapes() -> None:
    scenes = [Scene((SceneShape("square", color, 0.5, 0.5, 0.2),)) for color in COLORS]
    x = render_scenes(scenes)
    assert x.shape == (4, 3, 32, 32)
    assert torch.equal(x, x.round())
    assert x[:, :, 16, 16].tolist() == [list(color) for color in COLORS.values()]
    assert (x[:, :, 0, 0] == torch.tensor(BACKGROUND)).all()


def test_later_shapes_lie_over_earlier_ones() -> None:
    one, other = (SceneShape("circle", color, 0.5, 0.5, 0.2) for color in ("red", "blue"))
    x = render_scenes([Scene((one, other))])
    assert tuple(x[0, :, 16, 16].tolist()) == COLORS["blue"]


def test_what_is_no_shape_is_refused() -> None:
    with pytest.raises(InputError, match="kind of a shape is one of circle, square, triangle"):
        SceneShape("star", "red", 0.5, 0.5, 0.1)
    with pytest.raises(InputError, match="color of a shape is one of red, green"):
        SceneShape("circle", "pink", 0.5, 0.5, 0.1)
    with pytest.raises(InputError, match="radius"):
        SceneShape("circle", "red", 0.5, 0.5, 0.0)
    with pytest.raises(InputError, match="no scenes"):
        render_scenes([])


# -- captions -----------------------------------------------------------------------------------


def test_captions_are_read_as_they_are_written() -> None:
    scenes, captions = draw_scenes(300, seeded())
    for scene, caption in zip(scenes, captions, strict=True):
        assert Caption.read(str(caption)) == caption
        assert caption.true_of(scene)


def test_relations_turn_around_with_their_order() -> None:
    opposite = dict(zip(RELATIONS, ("right of", "left of", "below", "above"), strict=True))
    for scene in draw_scenes(100, seeded())[0]:
        for one, other in combinations(scene.shapes, 2):
            assert relation(other, one) == opposite[relation(one, other)]
            assert composition(one, other) == composition(other, one)


def test_above_is_up() -> None:
    scenes, captions = draw_scenes(300, seeded())
    for scene, caption in zip(scenes, captions, strict=True):
        for said, other in zip(caption.relations, scene.shapes[1:], strict=True):
            first = scene.shapes[0]
            sign = {"left of": first.x < other.x, "right of": first.x > other.x}
            sign |= {"above": first.y < other.y, "below": first.y > other.y}
            assert sign[said]


def test_a_caption_that_differs_in_one_word_is_not_true() -> None:
    scenes, captions = draw_scenes(60, seeded(1))
    tried = 0
    for scene, caption in zip(scenes, captions, strict=True):
        for wrong in caption.altered():
            assert not wrong.true_of(scene), (str(wrong), scene)
            tried += 1
    assert tried > 300
    assert sorted(map(str, Caption.read("a red circle").altered())) == [
        "a blue circle",
        "a green circle",
        "a red square",
        "a red triangle",
        "a yellow circle",
    ]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a pink square", "'pink' in 'a pink square' is none of the words a, above, and"),
        ("red square", "word 1 is one of a, not 'red'"),
        ("a red", "word 3 is one of circle, square, triangle, not 'the end'"),
        ("a red square left a blue circle", "word 5 is one of of, not 'a'"),
        ("a red square above", "word 5 is one of a"),
        ("a red square above a blue circle above a green circle", "word 8 is one of and"),
        ("a square red", "word 2 is one of small, large, red"),
        ("", "word 1 is one of a"),
    ],
)
def test_what_is_no_sentence_is_refused(text: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        Caption.read(text)


def test_a_caption_has_three_things_at_the_most() -> None:
    with pytest.raises(InputError, match="one to 3 things"):
        Caption((Thing("circle", "red"),) * 4, ("above",) * 3)
    with pytest.raises(InputError, match="2 things and 0 relations"):
        Caption((Thing("circle", "red"),) * 2)


# -- data sets ----------------------------------------------------------------------------------


def test_the_same_seed_draws_the_same_pictures() -> None:
    one, again, other = (load("scenes", n=20, seed=seed, size=16) for seed in (1, 1, 2))
    assert one.fingerprint == again.fingerprint != other.fingerprint
    assert one.captions == again.captions


def test_compositions_held_out_of_training_occur_apart() -> None:
    learned: set[tuple[str, str, str]] = set()
    for scene in draw_scenes(5000, seeded())[0]:
        learned |= pairs(scene)
    assert not learned & set(HELD_OUT)
    # Nothing else is missing: two relations of each pair of two different shapes of twelve.
    assert len(learned) == 2 * 12 * 11 - len(HELD_OUT)
    scenes, captions = draw_scenes(500, seeded(), held_out=True)
    found = {composition(*scene.shapes[:2]) for scene in scenes}
    assert found == set(HELD_OUT)
    assert min(len(caption.things) for caption in captions) == 2
    assert all(caption.true_of(scene) for scene, caption in zip(scenes, captions, strict=True))


def test_scenes_have_one_to_three_shapes_as_often_as_they_say() -> None:
    n = 2000
    counts = torch.tensor([len(scene.shapes) for scene in draw_scenes(n, seeded())[0]])
    for k, share in enumerate(SHARES, start=1):
        found = float((counts == k).float().mean())
        assert found == pytest.approx(share, abs=4 * math.sqrt(share * (1 - share) / n))


def test_shapes_lie_inside_and_apart() -> None:
    for scene in draw_scenes(200, seeded())[0]:
        boxes = []
        for shape in scene.shapes:
            left, right, up, down = (shape.radius * reach for reach in EXTENTS[shape.kind])
            boxes.append((shape.x - left, shape.x + right, shape.y - up, shape.y + down))
            assert min(boxes[-1][0], boxes[-1][2]) > 0.0299
            assert max(boxes[-1][1], boxes[-1][3]) < 0.9701
        for a, b in combinations(boxes, 2):
            gaps = (a[0] - b[1], b[0] - a[1], a[2] - b[3], b[2] - a[3])
            assert max(gaps) > 0.0599


def test_data_have_captions_of_known_words() -> None:
    data = load("scenes", n=50, size=16)
    assert data.vocabulary is not None
    assert data.vocabulary.words == WORDS
    assert data.captions is not None
    assert [str(Caption.read(text)) for text in data.captions] == data.captions
    assert data.num_classes is None
    assert load("scenes", n=3, size=16, label=False).c is None
    train, test = data.split(0.2)
    assert sorted((train.captions or []) + (test.captions or [])) == sorted(data.captions)


def test_options_that_scenes_do_not_have_are_refused() -> None:
    with pytest.raises(InputError, match="n is a whole number of at least 2"):
        load("scenes", n=1)
    with pytest.raises(InputError, match="size"):
        load("scenes", n=2, size=4)
    with pytest.raises(InputError, match="channels"):
        load("scenes", n=2, channels=1)


def test_scenes_are_read_again_for_a_model_of_them() -> None:
    data = load("scenes", n=6, size=8)
    again = load("scenes", n=6, size=8, like=data)
    assert again.fingerprint == data.fingerprint
    assert again.captions == data.captions
    other = load("scenes-held-out", n=4, size=8, like=data.schema)
    assert other.vocabulary == data.vocabulary
