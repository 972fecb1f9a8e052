"""Measurement operators: their transposes, their singular values, and peers as oracles."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from PIL import Image
from scipy import ndimage

from pushforward.errors import CapabilityError, InputError
from pushforward.inverse import (
    Blur,
    Columns,
    Convolution,
    Crop,
    Differentiable,
    Downsample,
    FourierRows,
    LinearOperator,
    Mask,
    Matrix,
    SpectralDownsample,
    check_adjoint,
    compose,
)


def _random(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


_PICTURE, _SIGNAL = (2, 6, 8), (12,)

LINEAR = {
    "mask": (Mask(_random(6, 8) > 0), _PICTURE),
    "mask of a vector": (Mask(_random(12) > 0), _SIGNAL),
    "crop": (Crop(1, 2, 3, 4), _PICTURE),
    "columns": (Columns(7, 0, 3), _SIGNAL),
    "box": (Downsample(2), _PICTURE),
    "box of two factors": (Downsample((3, 2)), _PICTURE),
    "box of a signal": (Downsample(3), _SIGNAL),
    "bicubic": (Downsample(2, "bicubic"), _PICTURE),
    "taps": (Downsample(2, torch.tensor([0.1, 0.4, 0.4, 0.1])), _PICTURE),
    "gaussian blur": (Blur(0.8), _PICTURE),
    "blur of zeros": (Blur(_random(3), boundary="zeros"), _PICTURE),
    "blur of a ring": (Blur(_random(5), boundary="circular"), _SIGNAL),
    "blur past a small picture": (Blur(2.0, boundary="replicate"), (1, 3, 2)),
    "convolution": (Convolution(_random(3, 5)), _PICTURE),
    "spectral": (SpectralDownsample(2), _PICTURE),
    "spectral of a signal": (SpectralDownsample(3), _SIGNAL),
    "spectral of an odd size": (SpectralDownsample(3), (1, 9, 15)),
    "frequencies": (FourierRows(_random(6, 8) > 0.5), _PICTURE),
    "frequencies of a signal": (FourierRows(3), _SIGNAL),
    "all frequencies": (FourierRows(4), _PICTURE),
    "matrix": (Matrix(_random(5, 12)), _SIGNAL),
    "matrix of a picture": (Matrix(_random(7, 96)), _PICTURE),
    "composition": (compose(Downsample(2), Blur(0.7)), _PICTURE),
    "composition of selections": (compose(Columns(0, 2), Matrix(_random(3, 12))), _SIGNAL),
}

every = pytest.mark.parametrize(("operator", "shape"), LINEAR.values(), ids=LINEAR)


@every
def test_the_adjoint_is_the_transpose(operator: LinearOperator, shape: tuple[int, ...]) -> None:
    assert check_adjoint(operator, shape) < 1e-12
    dense = operator.dense(shape, torch.float64)
    u = _random(3, *operator.observed_shape(shape))
    torch.testing.assert_close(operator.adjoint(u, shape).flatten(1), u.flatten(1) @ dense)
    # The one that autograd finds, which a class without a transpose of its own has.
    torch.testing.assert_close(
        LinearOperator.adjoint(operator, u, shape), operator.adjoint(u, shape)
    )


@every
def test_disjoint_rows_are_declared_right(operator: LinearOperator, shape: tuple[int, ...]) -> None:
    dense = operator.dense(shape, torch.float64)
    most = ((dense.abs() > 1e-12).sum(0) <= 1).all()
    assert operator.disjoint_rows == bool(most)


@every
def test_singular_values_are_those_of_the_matrix(
    operator: LinearOperator, shape: tuple[int, ...]
) -> None:
    dense, svd = operator.dense(shape, torch.float64), operator.svd(shape)
    wanted = torch.linalg.svdvals(dense)
    found = svd.values.double().sort(descending=True).values
    torch.testing.assert_close(found, wanted[: len(found)], rtol=1e-9, atol=1e-9)
    assert (wanted[len(found) :] < 1e-4 * wanted[0]).all()
    x, y = _random(3, *shape), _random(3, *operator.observed_shape(shape), seed=1)
    # A = U diag(s) V^T, by its four maps, which are transposes of each other.
    made = svd.from_left(svd.values.to(x) * svd.right(x))
    torch.testing.assert_close(made, operator(x), rtol=1e-6, atol=1e-5 * float(wanted[0]))
    a = _random(3, len(svd.values), seed=2)
    torch.testing.assert_close(svd.left(svd.from_left(a)), a)
    torch.testing.assert_close(svd.right(svd.from_right(a)), a)
    torch.testing.assert_close((svd.left(y) * a).sum(), (y * svd.from_left(a)).sum())
    torch.testing.assert_close((svd.right(x) * a).sum(), (x * svd.from_right(a)).sum())
    # Moore and Penrose: the fit and the smallest state that has it.
    inverse_of = torch.linalg.pinv(dense, rtol=max(dense.shape) * 1.2e-7)
    best = operator.pseudo_inverse(y, shape)
    torch.testing.assert_close(best.flatten(1), y.flatten(1) @ inverse_of.mT, rtol=1e-5, atol=1e-7)
    fitted = svd.fitted(y)
    torch.testing.assert_close(fitted.flatten(1), best.flatten(1) @ dense.mT, rtol=1e-5, atol=1e-6)


def test_a_row_does_not_depend_on_its_batch() -> None:
    for operator, shape in LINEAR.values():
        x = _random(5, *shape)
        torch.testing.assert_close(operator(x)[2:3], operator(x[2:3]), rtol=1e-12, atol=1e-12)


def test_the_box_is_the_mean_of_blocks_and_bicubic_is_that_of_pillow() -> None:
    x = _random(1, 1, 12, 20)
    pooled = torch.nn.functional.avg_pool2d(x, (2, 4))
    torch.testing.assert_close(Downsample((2, 4))(x), pooled)
    picture = Image.fromarray(x[0, 0].float().numpy(), mode=None)
    wanted = np.asarray(picture.resize((5, 3), Image.Resampling.BICUBIC))
    found = Downsample(4, "bicubic")(x)[0, 0].float()
    torch.testing.assert_close(found, torch.tensor(wanted), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize(
    ("boundary", "mode"),
    [("reflect", "mirror"), ("replicate", "nearest"), ("circular", "wrap"), ("zeros", "constant")],
)
def test_a_gaussian_blur_is_that_of_scipy(boundary: str, mode: str) -> None:
    x = _random(1, 1, 9, 7)
    wanted = ndimage.gaussian_filter(x[0, 0].numpy(), 1.3, mode=mode)
    torch.testing.assert_close(Blur(1.3, boundary)(x)[0, 0], torch.tensor(wanted))


def test_a_convolution_is_that_of_scipy() -> None:
    x, kernel = _random(1, 1, 6, 8), _random(3, 5, seed=1)
    wanted = ndimage.convolve(x[0, 0].numpy(), kernel.numpy(), mode="wrap")
    torch.testing.assert_close(Convolution(kernel)(x)[0, 0], torch.tensor(wanted))


def test_frequencies_have_orthonormal_rows_and_keep_the_energy() -> None:
    operator, shape = LINEAR["frequencies"]
    y = _random(4, *operator.observed_shape(shape))
    torch.testing.assert_close(operator(operator.adjoint(y, shape)), y)
    x = _random(3, 2, 6, 8)
    whole = FourierRows(torch.ones(6, 8))
    assert whole.observed_shape(_PICTURE) == (2, 48)
    torch.testing.assert_close(whole(x).square().sum(), x.square().sum())
    # A frequency and its partner are one measurement.
    one = torch.zeros(6, 8)
    one[1, 2] = 1
    found = FourierRows(one)(x)[0, 0]
    value = torch.fft.fft2(x[0, 0], norm="ortho")[1, 2]
    torch.testing.assert_close(
        found.abs(), math.sqrt(2) * torch.stack([value.real, value.imag]).abs()
    )


def test_gaps_are_the_numbers_that_are_nan() -> None:
    x = torch.tensor([[1.0, math.nan], [3.0, 4.0]])
    mask = Mask.missing(x)
    assert mask(x[None])[0].tolist() == [1.0, 3.0, 4.0]
    with pytest.raises(InputError, match="observes nothing"):
        Mask.missing(torch.full((2,), math.nan))


def test_columns_go_by_name_where_names_are_known() -> None:
    named = Columns("c", 0)
    with pytest.raises(InputError, match="known by its number"):
        named(torch.zeros(1, 3))
    assert named.resolved(["a", "b", "c"])(torch.tensor([[1.0, 2.0, 3.0]])).tolist() == [[3.0, 1.0]]
    with pytest.raises(InputError, match="there is no column 'c': they are a, b"):
        named.resolved(["a", "b"])


def test_a_wrong_transpose_and_a_bent_operator_are_found() -> None:
    class Doubled(Downsample):
        def adjoint(self, u, event_shape):
            return 2 * super().adjoint(u, event_shape)

    class Shifted(Columns):
        def __call__(self, x):
            return super().__call__(x) + 1

    with pytest.raises(InputError, match="the adjoint of Doubled is not its transpose"):
        check_adjoint(Doubled(2), (1, 4, 4))
    with pytest.raises(InputError, match="Shifted is not linear"):
        check_adjoint(Shifted(0), (3,))


def test_compositions_are_linear_where_both_are() -> None:
    square = Differentiable(lambda x: x.square())
    bent = compose(Downsample(2), square)
    assert not isinstance(bent, LinearOperator)
    x = _random(2, 1, 4, 4)
    torch.testing.assert_close(bent(x), Downsample(2)(x.square()))
    straight = compose(Columns(1), Downsample(2))
    assert isinstance(straight, LinearOperator)
    assert straight.disjoint_rows
    with pytest.raises(InputError, match="an operator is one of"):
        compose(square, "blur")


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Mask(torch.tensor([0.0, 0.5])), "other values"),
        (lambda: Mask(torch.zeros(3)), "observes nothing"),
        (lambda: Mask(torch.ones(3))(torch.zeros(1, 4)), "does not fit states of shape"),
        (lambda: Crop(0, 0, 9, 2)(torch.zeros(1, 1, 8, 8)), "leaves a picture of 8 x 8"),
        (lambda: Crop(0, 0, 1, 1)(torch.zeros(1, 8)), "a crop takes pictures"),
        (lambda: Columns(-1), "a number from 0, or a name"),
        (lambda: Columns(1, 1), "measured once"),
        (lambda: Columns(5)(torch.zeros(1, 3)), "past the last of 3"),
        (lambda: Downsample(0), "whole number of at least 1"),
        (lambda: Downsample(3)(torch.zeros(1, 1, 8, 8)), "no multiple of the factor 3"),
        (lambda: Downsample(2, "cubic"), "'box', 'bicubic'"),
        (lambda: Downsample(2, torch.ones(3)), "cannot be centered"),
        (lambda: Blur(0.0), "positive finite"),
        (lambda: Blur(1.0, "mirror"), "the boundary is one of"),
        (lambda: Blur(torch.ones(2)), "odd number"),
        (lambda: Convolution(torch.ones(2, 3)), "odd numbers of taps"),
        (lambda: Convolution(torch.ones(9, 9))(torch.zeros(1, 1, 8, 8)), "does not fit"),
        (lambda: FourierRows(torch.ones(4, 4))(torch.zeros(1, 1, 8, 8)), "does not fit"),
        (lambda: FourierRows(torch.zeros(4, 4)), "keeps no frequency"),
        (lambda: Matrix(torch.ones(3)), "shape \\(m, d\\)"),
        (lambda: Matrix(torch.ones(2, 3))(torch.zeros(1, 4)), "3 columns"),
        (lambda: Differentiable(lambda x: x.sum()).observed_shape((3,)), "with at least one"),
    ],
)
def test_bad_input_is_named(make, message: str) -> None:
    with pytest.raises(InputError, match=message):
        make()


def test_a_large_matrix_is_not_decomposed_unasked() -> None:
    blurred = compose(Columns(0), Matrix(torch.ones(1, 4)))
    assert len(blurred.svd((4,)).values) == 1
    with pytest.raises(CapabilityError, match="too large to decompose"):
        compose(Downsample(2), Blur(1.0)).svd((3, 64, 64))
