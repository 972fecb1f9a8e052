"""`pushforward posterior`: a measurement in, draws that fit it out."""

from __future__ import annotations

import csv
import io
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

import pushforward as pf
from pushforward.cli import main
from pushforward.cli.measuring import noise_from, operator_from
from pushforward.errors import InputError


@pytest.fixture(scope="session")
def digits(tmp_path_factory) -> Path:
    """A run of a few steps on the digits."""
    out = tmp_path_factory.mktemp("runs") / "digits"
    words = ["--quiet", "train", "digits", "--out", out, "--steps", 30, "model.net=mlp"]
    with pytest.raises(SystemExit) as end:
        main([str(word) for word in words])
    assert end.value.code == 0
    return out


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    """A folder with a digit, a small one, and a mask of its left half."""
    x = pf.data.load("digits").x[:3]
    np.save(tmp_path / "x.npy", x.numpy())
    small = pf.inverse.Downsample(2)(x)[0, 0]
    Image.fromarray((small / 16 * 255).round().byte().numpy()).save(tmp_path / "y.png")
    mask = np.zeros((8, 8), np.uint8)
    mask[:, :4] = 255
    Image.fromarray(mask).save(tmp_path / "mask.png")
    Image.fromarray((x[0, 0] / 16 * 255).round().byte().numpy()).save(tmp_path / "x.png")
    return tmp_path


FEW = ("-n", 3, "--steps", 20, "--seed", 1)


def test_a_small_picture_becomes_draws_that_fit_it(call, digits, pictures) -> None:
    out = pictures / "draws.npz"
    words = ("posterior", digits, "--y", pictures / "y.png", "--operator", "downsample:2")
    found = call(*words, "--noise", 0.5, *FEW, "--out", out)
    assert found.code == 0, found.err
    assert found.out.strip() == str(out)
    assert "pigdm: approximate (exact for normal data of equal variance" in found.err
    assert "and a derivative of it: 20 evaluations a draw" in found.err
    x = pf.data.load(out).x
    assert x.shape == (3, 1, 8, 8)
    # The same as in Python, in the units of the data: black is 0 and white 16.
    model = pf.load(digits)
    y = torch.tensor(np.asarray(Image.open(pictures / "y.png")), dtype=torch.float32) * 16 / 255
    post = model.posterior(y[None], pf.inverse.Downsample(2), 0.5)
    torch.testing.assert_close(
        post.sample(3, seed=1, steps=20).round().clamp(0, 16), x, rtol=0, atol=1.0
    )


def test_a_constraint_is_met_and_a_percentage_is_of_the_range(call, digits, pictures) -> None:
    out = pictures / "draws.npy"
    words = ("posterior", digits, "--from", pictures / "x.npy", "--operator", "downsample:2")
    found = call(*words, "--noise", "exact", *FEW, "--out", out)
    assert found.code == 0, found.err
    assert "times the size of y" in found.err
    assert np.load(out).shape == (3, 3, 1, 8, 8)
    assert noise_from("5%", (0.0, 16.0)) == pytest.approx(0.8)


@pytest.mark.parametrize(
    "operator", ["mask:{}/mask.png", "crop:2,2,4,4", "blur:0.8", "blur:0.8+downsample:4"]
)
def test_pictures_are_drawn_beside_their_measurement(call, digits, pictures, operator) -> None:
    out = pictures / "seen.png"
    words = (
        "posterior",
        digits,
        "--from",
        pictures / "x.png",
        "--operator",
        operator.format(pictures),
    )
    found = call(*words, "--noise", "2%", *FEW, "--method", "diffpir", "--out", out)
    assert found.code == 0, found.err
    with Image.open(out) as picture:
        # Truth, measurement, mean, deviation and three draws in a row.
        assert picture.width > 3.5 * picture.height


def test_whole_pictures_are_measured_where_the_mask_is_white(call, digits, pictures) -> None:
    out = pictures / "draws.npy"
    words = ("--operator", f"mask:{pictures}/mask.png", "--noise", "exact")
    found = call("posterior", digits, "--y", pictures / "x.png", *words, *FEW, "--out", out)
    assert found.code == 0, found.err
    x, truth = np.load(out), np.load(pictures / "x.npy")[0]
    assert np.abs(x[..., :4] - truth[..., :4]).max() < 0.6
    assert np.abs(x[..., 4:] - truth[..., 4:]).max() > 0.6


@pytest.mark.parametrize(
    ("noise", "method", "words"),
    [
        ("laplace:1", (), "dps: approximate (a heuristic"),
        ("exact", (), "projection: approximate (the constraint is met exactly"),
        ("exact", ("repaint",), "10 evaluations of the network a step: 200 evaluations a draw"),
        ("1", ("daps",), "5 evaluations of the network at each level"),
    ],
)
def test_the_method_and_its_cost_are_told(call, digits, pictures, noise, method, words) -> None:
    how = ("--operator", f"mask:{pictures}/mask.png", "--noise", noise, "-n", 2, "--steps", 20)
    own = ("--method", *method) if method else ()
    y = ("--y", pictures / "x.png")
    found = call("posterior", digits, *y, *how, *own, "--out", pictures / "draws.npy")
    assert found.code == 0, found.err
    assert words in found.err


def test_rows_are_chosen_and_a_picture_says_how_many_it_shows(call, digits, pictures) -> None:
    words = ("posterior", digits, "--operator", "downsample:4", "--noise", 1, "--method", "diffpir")
    few = ("-n", 1, "--steps", 2, "--out")
    some = call(*words, "--from", "digits", "--rows", "0:2,5", *few, pictures / "draws.npy")
    assert some.code == 0, some.err
    assert np.load(pictures / "draws.npy").shape == (1, 3, 1, 8, 8)
    many = call(*words, "--from", "digits", "--rows", "0:13", *few, pictures / "seen.png")
    assert "seen.png shows 12 of 13 measurements: --rows 0:12 draws these alone" in many.err
    for rows, message in (("3:3", "says none of the rows 0 to 1796"), ("last", "numbers from 0")):
        wrong = call(*words, "--from", "digits", "--rows", rows, *few, pictures / "draws.npy")
        assert (wrong.code, message in wrong.err) == (2, True), wrong.err
    alone = call(*words, "--y", pictures / "y.png", "--rows", "0", *few, pictures / "draws.npy")
    assert (alone.code, "--rows are those of --from" in alone.err) == (2, True)


def test_a_table_is_completed_from_its_measured_columns(call, trained, tmp_path) -> None:
    y, out = tmp_path / "y.csv", tmp_path / "draws.csv"
    y.write_text("width,note\n9.5,1\n0.2,2\n")
    words = ("posterior", trained, "--y", y, "--noise", 0.01)
    found = call(*words, "--operator", "columns:width", *FEW, "--method", "mmps", "--out", out)
    assert found.code == 0, found.err
    rows = list(csv.DictReader(io.StringIO(out.read_text())))
    assert len(rows) == 6
    # Draws of both measurements, one after the other; the measured column is as it was.
    for k, row in enumerate(rows):
        assert float(row["width"]) == pytest.approx((9.5, 0.2)[k % 2], abs=0.5)
    y.write_text("width\n9.5\n0.2\n")
    plain = call(*words, *FEW, "--method", "mmps", "--out", tmp_path / "again.csv")
    assert plain.code == 0, plain.err
    assert (tmp_path / "again.csv").read_text() == out.read_text()


@pytest.mark.filterwarnings("ignore::pushforward.errors.ConvergenceWarning")
def test_exact_draws_tell_the_evidence_and_when_they_degenerate(call, trained, tmp_path) -> None:
    y, out = tmp_path / "y.csv", tmp_path / "draws.csv"
    y.write_text("width\n9.5\n")
    words = ("posterior", trained, "--y", y, "--noise", 2.0, *FEW, "--out", out)
    found = call(*words, "--exact", "--particles", 200)
    assert found.code == 0, found.err
    assert "tds with the twist mmps: asymptotically exact (weighted draws of 200" in found.err
    assert "for each of 200 particles of a measurement" in found.err
    assert "20 evaluations a particle" in found.err
    assert "log p(y) = " in found.err
    assert "effective sample size" in found.err
    other = call(*words, "--particles", 200)
    assert (other.code, "give both" in other.err) == (2, True)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--operator", "downsample:2"], "give --y, what was measured, or --from"),
        (["--y", "y.png", "--noise", "1"], "give --operator"),
        (["--y", "y.png", "--operator", "downsample:2", "--noise", "0"], "give --noise exact"),
        (["--y", "no.npy", "--operator", "downsample:2", "--noise", "1"], "no.npy does not exist"),
        (["--y", "y.png", "--operator", "shrink:2", "--noise", "1"], "choose from mask, crop, col"),
        (
            ["--y", "y.png", "--operator", "downsample", "--noise", "1"],
            "downsample:factor,kernel is",
        ),
        (
            ["--y", "y.png", "--operator", "downsample:4", "--noise", "1"],
            "makes measurements of shape",
        ),
        (
            ["--y", "y.png", "--operator", "downsample:3", "--noise", "1"],
            "no multiple of the factor",
        ),
        (["--y", "y.png", "--operator", "downsample:2"], "give --noise"),
        (["--y", "y.png", "--operator", "downsample:2", "--noise", "0"], "positive and finite"),
        (["--y", "y.png", "--operator", "downsample:2", "--noise", "-1%"], "positive and finite"),
        (
            ["--y", "y.png", "--operator", "downsample:2", "--noise", "loud"],
            "exact, estimated|one of",
        ),
        (["--y", "no.png", "--operator", "downsample:2", "--noise", "1"], "no.png"),
        (["--y", "y.png", "--operator", "mask:no.png", "--noise", "1"], "no.png"),
        (
            [
                "--y",
                "y.png",
                "--operator",
                "downsample:2",
                "--noise",
                "laplace:1",
                "--method",
                "mmps",
            ],
            "needs Gaussian noise",
        ),
        (
            ["--y", "y.png", "--operator", "downsample:2", "--noise", "1", "--method", "repaint"],
            "without noise (--noise exact), not Downsample with GaussianNoise",
        ),
        (
            [
                "--y",
                "y.png",
                "--operator",
                "downsample:2",
                "--noise",
                "1",
                "--method",
                "projection",
            ],
            "takes measurements without noise (--noise exact)",
        ),
        (
            ["--y", "y.png", "--operator", "downsample:2", "--noise", "1", "--method", "dpss"],
            "did you mean 'dps'",
        ),
    ],
)
def test_mistakes_are_named(call, digits, pictures, monkeypatch, words, message) -> None:
    monkeypatch.chdir(pictures)
    found = call("posterior", digits, *words, *FEW, "--out", "draws.npz")
    assert found.code == 2
    assert any(part in found.err for part in message.split("|")), found.err
    assert not (pictures / "draws.npz").exists()


def test_wrong_columns_are_named(call, trained, tmp_path) -> None:
    y = tmp_path / "y.csv"
    y.write_text("wide\n9.5\n")
    words = ("posterior", trained, "--y", y, "--noise", 0.1, "--out", tmp_path / "draws.csv")
    found = call(*words)
    assert found.code == 2
    assert "there is no column 'wide': they are height, width" in found.err
    found = call(*words, "--operator", "columns:width")
    assert found.code == 2
    assert "y has no column 'width': it has wide" in found.err


def test_a_measurement_out_of_range_is_warned_of(call, trained, tmp_path) -> None:
    y = tmp_path / "y.csv"
    y.write_text("width\n950\n")
    words = ("posterior", trained, "--y", y, "--noise", 0.1, *FEW)
    with pytest.warns(UserWarning, match="y lies far outside what this model expects to measure"):
        call(*words, "--out", tmp_path / "draws.csv")


def test_operators_are_read_from_words() -> None:
    assert operator_from("fourier:0").observed_shape((1, 4, 4)) == (1, 1)
    assert operator_from("downsample:2,bicubic").kernel == "bicubic"
    assert operator_from("columns:b,0", ["a", "b"]).columns == ("b", 0)
    assert operator_from("blur:1.5+downsample:4").observed_shape((3, 8, 8)) == (3, 2, 2)
    with pytest.raises(InputError, match="no operator is called"):
        operator_from("zoom:2")
