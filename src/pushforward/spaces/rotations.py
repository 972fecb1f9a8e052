"""Rotations as people have them: quaternions, rotation vectors, Euler angles, six numbers.

The hub is the rotation matrix, `(..., 3, 3)`, acting on column vectors, `y = R x`. Quaternions are
unit quaternions of either sign whose order, scalar first `wxyz` or scalar last `xyzw`, is always
said; rotation vectors are axis times angle in radians; Euler angles have their sequence of axes, in
capitals for axes that turn along (intrinsic), in small letters for fixed ones (extrinsic), as in
`scipy.spatial.transform.Rotation`.

Values and gradients are finite everywhere, at the identity and at half turns too: a function that
is smooth but written as a quotient has its series there, and the logarithm goes by the quaternion,
which has no singularity at half a turn.
"""

from __future__ import annotations

import torch
from torch import Tensor

from pushforward.errors import InputError

__all__ = [
    "from_6d",
    "from_euler",
    "from_quaternion",
    "from_rotation_vector",
    "hat",
    "nearest",
    "to_6d",
    "to_euler",
    "to_quaternion",
    "to_rotation_vector",
    "vee",
]


def from_quaternion(q: Tensor, order: str) -> Tensor:
    """Matrices of quaternions `(..., 4)`, which are divided by their length.

    `order` is `"wxyz"`, scalar first, or `"xyzw"`, scalar last. The quaternion of length zero has
    no rotation, and gives nan.

    >>> quarter = torch.tensor([2**-0.5, 0.0, 0.0, 2**-0.5])
    >>> (from_quaternion(quarter, "wxyz") @ torch.tensor([1.0, 0.0, 0.0])).round(decimals=3)
    tensor([0., 1., 0.])
    """
    w, x, y, z = _last(q, 4, "a quaternion")[..., _places(order)].unbind(-1)
    s = 2 / (w * w + x * x + y * y + z * z)
    rows = (
        (1 - s * (y * y + z * z), s * (x * y - z * w), s * (x * z + y * w)),
        (s * (x * y + z * w), 1 - s * (x * x + z * z), s * (y * z - x * w)),
        (s * (x * z - y * w), s * (y * z + x * w), 1 - s * (x * x + y * y)),
    )
    return torch.stack([torch.stack(row, -1) for row in rows], -2)


def to_quaternion(r: Tensor, order: str) -> Tensor:
    """Unit quaternions `(..., 4)` of matrices, the one of the two with a scalar part that is not
    negative.

    `4 q q^T` is linear in the matrix; its row of the largest diagonal entry, which is at least 1,
    is divided by its length. No root is taken of what can vanish.

    >>> to_quaternion(torch.eye(3), "xyzw")
    tensor([0., 0., 0., 1.])
    """
    m = _matrix(r)
    (a, b, c), (d, e, f), (g, h, i) = (row.unbind(-1) for row in m.unbind(-2))
    rows = (
        (1 + a + e + i, h - f, c - g, d - b),
        (h - f, 1 + a - e - i, b + d, c + g),
        (c - g, b + d, 1 - a + e - i, f + h),
        (d - b, c + g, f + h, 1 - a - e + i),
    )
    outer = torch.stack([torch.stack(row, -1) for row in rows], -2)
    largest = outer.detach().diagonal(dim1=-2, dim2=-1).argmax(-1)
    one = outer.gather(-2, largest[..., None, None].expand(*largest.shape, 1, 4)).squeeze(-2)
    q = one / torch.linalg.vector_norm(one, dim=-1, keepdim=True)
    q = torch.where(q[..., :1] < 0, -q, q)
    places = _places(order)
    return q[..., [places.index(k) for k in range(4)]]


def from_rotation_vector(v: Tensor) -> Tensor:
    """Matrices of rotation vectors `(..., 3)`, axis times angle in radians: the exponential map.

    Rodrigues' formula, `1 + sin(r) / r hat(v) + (1 - cos r) / r^2 hat(v)^2`, its quotients by their
    series near zero.

    >>> from_rotation_vector(torch.zeros(3)).equal(torch.eye(3))
    True
    """
    s = _last(v, 3, "a rotation vector").square().sum(-1)[..., None, None]
    small = s < 1e-2
    r = torch.where(small, 1.0, s).sqrt()
    sine = torch.where(small, 1 - s / 6 * (1 - s / 20 * (1 - s / 42)), torch.sin(r) / r)
    # (1 - cos r) / r^2, from half the angle: without the difference of numbers near one.
    half = torch.sin(0.5 * r) / r
    bend = torch.where(small, 0.5 - s / 24 * (1 - s / 30 * (1 - s / 56)), 2 * half.square())
    one = torch.eye(3, dtype=v.dtype, device=v.device)
    outer = v.unsqueeze(-1) * v.unsqueeze(-2)
    return (1 - s * bend) * one + sine * hat(v) + bend * outer


def to_rotation_vector(r: Tensor) -> Tensor:
    """The shortest rotation vectors `(..., 3)` of matrices, of length at most pi: the logarithm.

    At half a turn either sign is as short, and one of them is taken.

    >>> half = torch.diag(torch.tensor([1.0, -1.0, -1.0]))
    >>> to_rotation_vector(half)
    tensor([3.1416, 0.0000, 0.0000])
    """
    q = to_quaternion(r, "wxyz")
    scalar, vector = q[..., :1], q[..., 1:]
    s = vector.square().sum(-1, keepdim=True)
    small = s < 1e-3
    safe = torch.where(small, 1.0, s).sqrt()
    near = 1 + s * (1 / 6 + s * (3 / 40 + s * (15 / 336 + s * 105 / 3456)))
    far = torch.atan2(safe, scalar) / safe
    return 2 * torch.where(small, near, far) * vector


def from_euler(angles: Tensor, axes: str, *, degrees: bool = False) -> Tensor:
    """Matrices of Euler angles `(..., 3)`, in radians unless `degrees`.

    `"ZYX"` turns about z, then about the new y, then about the new x; `"zyx"` about the z, y and x
    that stay. All sequences of three axes, no two neighbors the same, have both.

    >>> angles = torch.tensor([90.0, 0.0, 0.0])
    >>> turned = from_euler(angles, "ZYX", degrees=True) @ torch.tensor([1.0, 0.0, 0.0])
    >>> turned.round(decimals=3)
    tensor([-0., 1., 0.])
    """
    places, intrinsic = _sequence(axes)
    radians = torch.deg2rad(angles) if degrees else angles
    turns = [
        _about(place, angle)
        for place, angle in zip(places, _last(radians, 3, "Euler angles").unbind(-1), strict=True)
    ]
    first, second, third = turns if intrinsic else turns[::-1]
    return first @ second @ third


def to_euler(r: Tensor, axes: str, *, degrees: bool = False) -> Tensor:
    """Euler angles `(..., 3)` of matrices: the outer two in `[-pi, pi]`, the middle one in
    `[-pi/2, pi/2]`, or in `[0, pi]` where the first axis comes again.

    In gimbal lock only a sum of the outer two is known, and the one of the intrinsic third turn is
    zero: only there, gradients are finite but not those of the angles.

    >>> to_euler(torch.eye(3), "XYZ")
    tensor([0., 0., 0.])
    """
    m = _matrix(r)
    places, intrinsic = _sequence(axes)
    i, j, k = places if intrinsic else places[::-1]
    other = 3 - i - j
    sign = 1.0 if (j - i) % 3 == 1 else -1.0
    if i == k:
        a, b = m[..., i, j], m[..., i, other]
        outer = (m[..., j, i], -sign * m[..., other, i]), (a, sign * b)
    else:
        a, b = m[..., i, i], m[..., i, j]
        outer = (-sign * m[..., j, k], m[..., k, k]), (-sign * b, a)
    # The sine, or the cosine, of the middle angle: zero in gimbal lock.
    square = a.square() + b.square()
    locked = square.detach() < (16 * torch.finfo(m.dtype).eps) ** 2
    length = torch.where(locked, 0.0, torch.where(locked, 1.0, square).sqrt())
    middle = (
        torch.atan2(length, m[..., i, i]) if i == k else torch.atan2(sign * m[..., i, k], length)
    )
    alone = torch.atan2(sign * m[..., other, j], m[..., j, j])
    first, third = (torch.atan2(y, torch.where(locked, 1.0, x)) for y, x in outer)
    first = torch.where(locked, alone, first)
    third = torch.where(locked, torch.zeros_like(third), third)
    found = torch.stack([first, middle, third] if intrinsic else [third, middle, first], -1)
    # No zero has a minus sign.
    return (torch.rad2deg(found) if degrees else found) + 0.0


def from_6d(a: Tensor) -> Tensor:
    """Matrices of six numbers `(..., 6)`: two columns one after the other, orthonormalized in turn
    (Zhou, Barnes, Lu, Yang & Li 2019). Continuous, so that a network may put them out.

    >>> from_6d(torch.tensor([2.0, 0.0, 0.0, 1.0, 1.0, 0.0])).equal(torch.eye(3))
    True
    """
    first, second = _last(a, 6, "the six numbers of a rotation").split(3, -1)
    x = first / torch.linalg.vector_norm(first, dim=-1, keepdim=True)
    second = second - (x * second).sum(-1, keepdim=True) * x
    y = second / torch.linalg.vector_norm(second, dim=-1, keepdim=True)
    return torch.stack([x, y, torch.linalg.cross(x, y)], -1)


def to_6d(r: Tensor) -> Tensor:
    """The first two columns of matrices, `(..., 6)`.

    >>> to_6d(torch.eye(3))
    tensor([1., 0., 0., 0., 1., 0.])
    """
    return _matrix(r)[..., :2].mT.flatten(-2)


@torch.no_grad()
def nearest(m: Tensor) -> Tensor:
    """The rotations nearest to any matrices `(..., 3, 3)` in the Frobenius norm, without gradients:
    those of singular vectors do not exist where singular values are equal, as for a rotation.

    >>> nearest(1.3 * torch.eye(3)).allclose(torch.eye(3))
    True
    """
    u, _, vt = torch.linalg.svd(_matrix(m))
    flip = torch.linalg.det(u @ vt).sign()
    return torch.cat([u[..., :2], u[..., 2:] * flip[..., None, None]], -1) @ vt


def _about(axis: int, angle: Tensor) -> Tensor:
    """Turns about a coordinate axis."""
    one, zero, c, s = torch.ones_like(angle), torch.zeros_like(angle), angle.cos(), angle.sin()
    plain = ((one, zero, zero), (zero, c, -s), (zero, s, c))
    rows = [[plain[(i - axis) % 3][(j - axis) % 3] for j in range(3)] for i in range(3)]
    return torch.stack([torch.stack(row, -1) for row in rows], -2)


def _sequence(axes: str) -> tuple[tuple[int, int, int], bool]:
    """The numbers of three axes, and whether they turn along."""
    names = axes.lower()
    if (
        len(axes) != 3
        or axes not in (names, names.upper())
        or not set(names) <= set("xyz")
        or names[0] == names[1]
        or names[1] == names[2]
    ):
        raise InputError(
            f"Euler angles have a sequence of three axes, no two neighbors the same, such as 'ZYX' "
            f"(intrinsic) or 'zyx' (extrinsic), not {axes!r}"
        )
    first, second, third = ("xyz".index(name) for name in names)
    return (first, second, third), axes != names


def _places(order: str) -> list[int]:
    """Where w, x, y and z stand in a quaternion."""
    if order not in ("wxyz", "xyzw"):
        raise InputError(
            f"the order of a quaternion is 'wxyz' (scalar first) or 'xyzw' (scalar last), not "
            f"{order!r}"
        )
    return [order.index(part) for part in "wxyz"]


def _last(x: Tensor, size: int, what: str) -> Tensor:
    if not x.is_floating_point() or x.ndim == 0 or x.shape[-1] != size:
        raise InputError(
            f"{what} is a floating-point tensor (..., {size}), not {x.dtype} of {tuple(x.shape)}"
        )
    return x


def _matrix(r: Tensor) -> Tensor:
    if not r.is_floating_point() or tuple(r.shape[-2:]) != (3, 3):
        raise InputError(
            f"rotations are floating-point matrices (..., 3, 3), not {r.dtype} of {tuple(r.shape)}"
        )
    return r


def hat(w: Tensor) -> Tensor:
    """The skew-symmetric matrix of a vector, `hat(w) v = w x v`; `(..., 3)` to `(..., 3, 3)`.

    >>> hat(torch.tensor([0.0, 0.0, 1.0])) @ torch.tensor([1.0, 0.0, 0.0])
    tensor([0., 1., 0.])
    """
    x, y, z = w.unbind(-1)
    zero = torch.zeros_like(x)
    rows = (zero, -z, y), (z, zero, -x), (-y, x, zero)
    return torch.stack([torch.stack(row, -1) for row in rows], -2)


def vee(a: Tensor) -> Tensor:
    """The vector of the skew-symmetric part of a matrix, `(..., 3, 3)` to `(..., 3)`.

    >>> vee(hat(torch.tensor([1.0, 2.0, 3.0])))
    tensor([1., 2., 3.])
    """
    return 0.5 * torch.stack(
        [a[..., 2, 1] - a[..., 1, 2], a[..., 0, 2] - a[..., 2, 0], a[..., 1, 0] - a[..., 0, 1]], -1
    )
