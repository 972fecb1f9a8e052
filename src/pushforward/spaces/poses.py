r"""Rigid motions: rotations beside positions, composed and seen from each other.

A pose is a tuple of a rotation `R` `(..., 3, 3)`, whose columns are the axes of a body, and a
position `p` `(..., 3)`: a state of `Product(SO3(), Euclidean(3))`. As a motion it takes `x` to
`R x + p`. Seen from an object, poses are the same wherever that is: a model of `relative` ones,
composed with the pose of the object, is equivariant, and its densities are invariant, since moving
the object changes no volume.
"""

from __future__ import annotations

from torch import Tensor

__all__ = ["Pose", "compose", "inverse", "relative"]

Pose = tuple[Tensor, Tensor]
"""A rotation and a position."""


def compose(first: Pose, second: Pose) -> Pose:
    """`first` after `second`: a pose that is known in the frame of `first`, in the frame of all.

    >>> import torch
    >>> turn = torch.tensor([[0.0, -1.0, 0.0], [1.0, 0.0, 0.0], [0.0, 0.0, 1.0]])
    >>> compose((turn, torch.ones(3)), (torch.eye(3), torch.tensor([1.0, 0.0, 0.0])))[1]
    tensor([1., 2., 1.])
    """
    return first[0] @ second[0], _turned(first[0], second[1]) + first[1]


def inverse(pose: Pose) -> Pose:
    """The motion back.

    >>> import torch
    >>> inverse((torch.eye(3), torch.ones(3)))[1]
    tensor([-1., -1., -1.])
    """
    return pose[0].mT, -_turned(pose[0].mT, pose[1])


def relative(pose: Pose, frame: Pose) -> Pose:
    """A pose as it is seen from a frame, an object: `inverse(frame)` after it.

    >>> import torch
    >>> relative((torch.eye(3), torch.ones(3)), (torch.eye(3), torch.ones(3)))[1]
    tensor([0., 0., 0.])
    """
    return frame[0].mT @ pose[0], _turned(frame[0].mT, pose[1] - frame[1])


def _turned(rotation: Tensor, x: Tensor) -> Tensor:
    return (rotation @ x.unsqueeze(-1)).squeeze(-1)
