"""The parser of pictures is right on real ones, and takes no wrong one for right."""

from __future__ import annotations

import pytest
import torch

from pushforward.data import (
    Caption,
    Scene,
    SceneShape,
    matches_captions,
    parse_scenes,
    render_scenes,
)
from pushforward.data.scene_sampling import draw_scenes
from pushforward.errors import InputError

N = 300


def drawn(seed: int = 0) -> tuple[list[Scene], list[Caption], torch.Tensor]:
    scenes, captions = draw_scenes(N, torch.Generator().manual_seed(seed))
    return scenes, captions, render_scenes(scenes)


def noisy(x: torch.Tensor, level: float) -> torch.Tensor:
    noise = torch.randn(x.shape, generator=torch.Generator().manual_seed(7))
    return (x + level * noise).clamp(0, 255)


@pytest.mark.parametrize("level", [0.0, 8.0, 16.0])
def test_pictures_show_what_their_captions_say(level: float) -> None:
    _, captions, x = drawn()
    right = matches_captions(noisy(x, level), captions)
    assert float(right.float().mean()) >= 0.99


def test_small_pictures_are_read_as_well() -> None:
    scenes, captions, _ = drawn()
    right = matches_captions(render_scenes(scenes, 16), captions)
    assert float(right.float().mean()) >= 0.99


def test_shapes_are_found_where_they_are() -> None:
    scenes, _, x = drawn(1)
    for scene, found in zip(scenes, parse_scenes(noisy(x, 8.0)), strict=True):
        assert found.unknown == 0
        wanted = {(s.kind, s.color): s for s in scene.shapes}
        assert {(s.kind, s.color) for s in found.scene.shapes} == set(wanted)
        for shape in found.scene.shapes:
            true = wanted[shape.kind, shape.color]
            assert shape.size == true.size
            assert (shape.x, shape.y) == pytest.approx((true.x, true.y), abs=0.3 / 32)
            assert shape.radius == pytest.approx(true.radius, rel=0.08)


def test_captions_that_are_wrong_in_one_word_are_refused() -> None:
    _, captions, x = drawn(2)
    found = parse_scenes(noisy(x, 16.0))
    tried = [
        wrong.true_of(one.scene)
        for one, caption in zip(found, captions, strict=True)
        for wrong in caption.altered()
    ]
    assert len(tried) > 5 * N
    assert sum(tried) <= 0.001 * len(tried)


def test_pictures_that_are_changed_are_refused() -> None:
    scenes, captions, x = drawn(3)
    mirrored = matches_captions(x.flip(-1), captions)
    sideways = [
        any(said in ("left of", "right of") for said in caption.relations) for caption in captions
    ]
    assert mirrored.tolist() == [not turned for turned in sideways]
    swapped = matches_captions(x.flip(1), captions)
    # Red and blue change places, green stays, and yellow becomes none of the colors.
    green = [all(shape.color == "green" for shape in scene.shapes) for scene in scenes]
    assert swapped.tolist() == green


def test_what_is_no_shape_makes_a_picture_wrong() -> None:
    scene = Scene((SceneShape("circle", "red", 0.3, 0.3, 0.17),))
    x = render_scenes([scene] * 4)
    x[1, :, 20:22, 4:28] = torch.tensor([45.0, 96.0, 214.0])[:, None, None]  # a bar
    x[2, :, 20:26, 20:26] = 90.0  # gray, no color
    x[3, :, 25, 25] = 90.0  # a speck
    found = parse_scenes(x)
    assert [one.unknown for one in found] == [0, 1, 1, 0]
    assert [one.specks for one in found] == [0, 0, 0, 1]
    assert matches_captions(x, ["a red circle"] * 4).tolist() == [True, False, False, True]


def test_a_picture_of_nothing_shows_nothing() -> None:
    blank = torch.full((1, 3, 32, 32), 244.0)
    assert parse_scenes(blank)[0].scene == Scene(())
    assert matches_captions(blank, ["a red circle"]).tolist() == [False]


def test_noise_alone_shows_nothing() -> None:
    x = 255 * torch.rand(20, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    assert not matches_captions(x, ["a red circle"] * 20).any()


def test_what_is_no_picture_is_refused() -> None:
    with pytest.raises(InputError, match=r"\(N, 3, H, H\), not \(2, 1, 8, 8\)"):
        parse_scenes(torch.zeros(2, 1, 8, 8))
    with pytest.raises(InputError, match="finite"):
        parse_scenes(torch.full((1, 3, 8, 8), torch.nan))
    with pytest.raises(InputError, match="2 pictures need as many captions, not 1"):
        matches_captions(torch.zeros(2, 3, 8, 8), ["a red circle"])
    with pytest.raises(InputError, match="'pink'"):
        matches_captions(torch.zeros(1, 3, 8, 8), ["a pink circle"])
