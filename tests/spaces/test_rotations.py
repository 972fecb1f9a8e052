"""Formats of rotations against scipy, and gradients where formulas are quotients of zeros."""

import itertools
import math
from functools import partial

import numpy as np
import pytest
import torch
from scipy.spatial.transform import Rotation
from torch.autograd import gradcheck, gradgradcheck

from pushforward.errors import InputError
from pushforward.spaces import rotations

ORDERS = ("wxyz", "xyzw")
SEQUENCES = [
    "".join(axes)
    for axes in itertools.product("xyz", repeat=3)
    if axes[0] != axes[1] and axes[1] != axes[2]
]


def some(n: int = 400) -> tuple[torch.Tensor, Rotation]:
    """Rotations, small and near half a turn among them."""
    draw = np.random.default_rng(0)
    axes = draw.normal(size=(n, 3))
    axes /= np.linalg.norm(axes, axis=1, keepdims=True)
    angles = draw.uniform(0, math.pi, n)
    angles[:40] = 10.0 ** draw.uniform(-15, -1, 40)
    angles[40:80] = math.pi - 10.0 ** draw.uniform(-15, -1, 40)
    vectors = axes * angles[:, None]
    return torch.from_numpy(vectors), Rotation.from_rotvec(vectors)


def test_rotation_vectors_are_those_of_scipy() -> None:
    vectors, exact = some()
    found = rotations.from_rotation_vector(vectors)
    torch.testing.assert_close(found, torch.from_numpy(exact.as_matrix()), rtol=0, atol=1e-12)
    # Back, but at half a turn, where the sign is open, only as a rotation.
    back = rotations.to_rotation_vector(found)
    far = vectors.norm(dim=1) < math.pi - 1e-6
    torch.testing.assert_close(back[far], vectors[far], rtol=0, atol=1e-12)
    again = rotations.from_rotation_vector(back)
    torch.testing.assert_close(again, found, rtol=0, atol=1e-12)


@pytest.mark.parametrize("order", ORDERS)
def test_quaternions_are_those_of_scipy(order: str) -> None:
    _, exact = some()
    matrix = torch.from_numpy(exact.as_matrix())
    q = torch.from_numpy(exact.as_quat(canonical=True, scalar_first=order == "wxyz"))
    found = rotations.to_quaternion(matrix, order)
    gap = torch.minimum((found - q).norm(dim=1), (found + q).norm(dim=1))
    assert float(gap.max()) < 1e-12
    assert bool((found[:, order.index("w")] >= 0).all())
    for scale in (1.0, -1.0, 1.7):
        made = rotations.from_quaternion(scale * q, order)
        torch.testing.assert_close(made, matrix, rtol=0, atol=1e-12)


@pytest.mark.parametrize("axes", [*SEQUENCES, *map(str.upper, SEQUENCES)])
def test_euler_angles_are_those_of_scipy(axes: str) -> None:
    draw = np.random.default_rng(1)
    outer, low = 175.0, (2.0 if axes[0] == axes[2] else -88.0)
    high = 178.0 if axes[0] == axes[2] else 88.0
    angles = np.stack(
        [draw.uniform(-outer, outer, 50), draw.uniform(low, high, 50),
         draw.uniform(-outer, outer, 50)], 1,
    )  # fmt: skip
    exact = Rotation.from_euler(axes, angles, degrees=True)
    matrix = rotations.from_euler(torch.from_numpy(angles), axes, degrees=True)
    torch.testing.assert_close(matrix, torch.from_numpy(exact.as_matrix()), rtol=0, atol=1e-12)
    back = rotations.to_euler(matrix, axes, degrees=True)
    torch.testing.assert_close(back, torch.from_numpy(angles), rtol=0, atol=1e-10)


@pytest.mark.parametrize("axes", ["ZYX", "zyx", "XYZ", "ZXZ", "zyz"])
def test_gimbal_lock_gives_angles_of_the_same_rotation(axes: str) -> None:
    middle = 0.0 if axes[0] == axes[2] else math.pi / 2
    for sign in (1.0, -1.0):
        turn = math.pi if middle == 0.0 and sign < 0 else sign * middle
        angles = torch.tensor([[0.3, turn, 0.9]], dtype=torch.float64)
        matrix = rotations.from_euler(angles, axes)
        again = rotations.from_euler(rotations.to_euler(matrix, axes), axes)
        torch.testing.assert_close(again, matrix, rtol=0, atol=1e-12)


def test_six_numbers_and_the_nearest_rotation() -> None:
    _, exact = some(150)
    matrix = torch.from_numpy(exact.as_matrix())
    six = rotations.to_6d(matrix)
    torch.testing.assert_close(rotations.from_6d(six), matrix, rtol=0, atol=1e-12)
    noise = torch.randn(150, 3, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(2))
    bent = matrix + 0.2 * noise
    found = rotations.nearest(bent)
    eye = torch.eye(3, dtype=torch.float64)
    torch.testing.assert_close(found @ found.mT, eye.expand(150, 3, 3), rtol=0, atol=1e-12)
    assert bool((torch.linalg.det(found) > 0).all())
    assert bool(((found - bent).norm(dim=(1, 2)) <= (matrix - bent).norm(dim=(1, 2))).all())


def test_any_batch_shape_and_single_precision() -> None:
    v = torch.randn(2, 5, 3, generator=torch.Generator().manual_seed(0))
    r = rotations.from_rotation_vector(v)
    assert r.shape == (2, 5, 3, 3)
    assert r.dtype == torch.float32
    quaternions = partial(rotations.to_quaternion, order="xyzw")
    from_quaternions = partial(rotations.from_quaternion, order="xyzw")
    for there, back in (
        (quaternions, from_quaternions),
        (rotations.to_rotation_vector, rotations.from_rotation_vector),
        (partial(rotations.to_euler, axes="zxz"), partial(rotations.from_euler, axes="zxz")),
        (rotations.to_6d, rotations.from_6d),
    ):
        torch.testing.assert_close(back(there(r)), r, rtol=0, atol=2e-6)


@pytest.mark.parametrize("angle", [0.0, 1e-9, 1e-3, 0.05, 0.2, 1.0, math.pi - 1e-2])
def test_gradients_are_right_at_the_identity_and_near_half_a_turn(angle: float) -> None:
    axis = torch.tensor([[0.6, 0.0, 0.8]], dtype=torch.float64)
    v = (angle * axis).requires_grad_()
    # The step of the differences is far below the distance to half a turn.
    r = rotations.from_rotation_vector(angle * axis).requires_grad_()
    with torch.random.fork_rng():
        assert gradcheck(rotations.from_rotation_vector, v)
        assert gradgradcheck(rotations.from_rotation_vector, v)
        assert gradcheck(rotations.to_rotation_vector, r)
        assert gradcheck(lambda m: rotations.to_quaternion(m, "wxyz"), r)
    # Through both, the map is the identity.
    back = torch.autograd.functional.jacobian(
        lambda x: rotations.to_rotation_vector(rotations.from_rotation_vector(x)), v
    ).squeeze()
    torch.testing.assert_close(back, torch.eye(3, dtype=torch.float64), rtol=0, atol=1e-9)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize(
    "axis", [(1.0, 0.0, 0.0), (0.0, 1.0, 0.0), (0.6, 0.0, 0.8), (0.0, -0.6, 0.8)]
)
@pytest.mark.parametrize("angle", [0.0, 1e-30, 1e-6, math.pi, 2 * math.pi])
def test_gradients_are_finite_everywhere(
    dtype: torch.dtype, axis: tuple[float, ...], angle: float
) -> None:
    v = (angle * torch.tensor([axis], dtype=dtype)).requires_grad_()
    r = rotations.from_rotation_vector(v)
    for found in (
        rotations.to_rotation_vector(r),
        rotations.to_quaternion(r, "wxyz"),
        rotations.from_6d(rotations.to_6d(r)),
        rotations.to_euler(r, "ZYX"),
        rotations.to_euler(r, "zxz"),
    ):
        (grad,) = torch.autograd.grad(found.sum(), v, retain_graph=True)
        assert bool(grad.isfinite().all())
        assert bool(found.isfinite().all())


def test_what_is_no_format_is_refused() -> None:
    eye = torch.eye(3)
    for wrong in ("zz", "ZyX", "zzx", "abc", "zyxz"):
        with pytest.raises(InputError, match="sequence of three axes"):
            rotations.to_euler(eye, wrong)
    with pytest.raises(InputError, match="scalar first"):
        rotations.to_quaternion(eye, "xywz")
    with pytest.raises(InputError, match=r"\(\.\.\., 4\)"):
        rotations.from_quaternion(torch.zeros(2, 3), "wxyz")
    with pytest.raises(InputError, match=r"\(\.\.\., 3, 3\)"):
        rotations.to_6d(torch.zeros(2, 3))
