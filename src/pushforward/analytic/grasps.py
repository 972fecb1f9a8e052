"""Poses relative to an object, whose law given that of the object is known: grasps, say."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from pushforward._random import normal, resolve
from pushforward.analytic.heat import AnalyticHeatMixture
from pushforward.errors import InputError
from pushforward.processes import Brownian, Gaussian, ProductProcess
from pushforward.protocols import Model, Time
from pushforward.schedules import VE
from pushforward.spaces import SO3, poses
from pushforward.spaces.poses import Pose

__all__ = ["AnalyticGrasps"]


@dataclass(frozen=True)
class AnalyticGrasps:
    r"""Poses `g = o h` of a hand given those of an object `o`, with `h` from a mixture on SE(3).

    In the frame of the object the pose `h = (A, b)` is from a mixture of heat kernels of SO(3)
    beside normal positions, so that given the object `(R, p)`

        p(g | o) = p(R^T R_g, R^T (p_g - p)):

    nothing but the pose of one relative to the other matters, and densities are per unit of the
    volumes of SO(3) and R^3, which moving the object does not change. Scores under Brownian motion
    of the rotation and a Gaussian process of the position are those of the mixture, turned.

    A grasp succeeds if it is near enough to one of the components in angle and in position: right
    places with the hand turned away fail.

    Args:
        rotations: of the components in the frame of the object, `(K, 3, 3)`.
        positions: `(K, 3)`.
        angle_variance: of the heat kernels.
        variance: of the positions, in each direction.
        weights: of the components, `(K,)`; equal by default.

    >>> grasps = AnalyticGrasps(torch.eye(3)[None], torch.tensor([[0.0, 0.0, 1.0]]), 0.05, 0.01)
    >>> grasps.sample(grasps.objects(4, seed=0), seed=1)[1].shape
    torch.Size([4, 3])
    """

    rotations: Tensor
    positions: Tensor
    angle_variance: float
    variance: float
    weights: Tensor | None = None

    @classmethod
    def of_mug(cls) -> AnalyticGrasps:
        """Six components: four around a rim, whose hands point to the axis, and two at a handle."""
        turns = torch.arange(4).double() * (torch.pi / 2)
        out = torch.stack([turns.cos(), turns.sin(), torch.zeros(4)], 1)
        out = torch.cat([out, torch.tensor([[1.0, 0.0, 0.0], [1.0, 0.0, 0.0]]).double()])
        up = torch.tensor([0.0, 0.0, 1.0]).double().expand(6, 3)
        side = torch.linalg.cross(-out, up)
        # The third axis of a hand approaches; at the handle two ways up are right.
        flipped = torch.tensor([1.0, 1.0, 1.0, 1.0, 1.0, -1.0]).double().unsqueeze(1)
        hands = torch.stack([flipped * up, flipped * side, -out], -1)
        places = torch.cat([0.8 * out[:4] + 0.6 * up[:4], 1.5 * out[4:]])
        weights = torch.tensor([1.0, 1.0, 1.0, 1.0, 2.0, 2.0]) / 8
        return cls(hands, places, 0.03, 0.01, weights)

    def objects(
        self, n: int, *, seed: int | None = None, generator: torch.Generator | None = None
    ) -> Pose:
        """Poses of objects: uniform rotations, standard normal positions."""
        generator = resolve(seed, generator, rows=n)
        turned = SO3().uniform(n, (3, 3), generator)
        return turned, normal((n, 3), generator, dtype=turned.dtype)

    def sample(
        self, objects: Pose, *, seed: int | None = None, generator: torch.Generator | None = None
    ) -> Pose:
        """A grasp of each object."""
        turned, place = objects
        a, b = self._world().sample(len(turned), seed=seed, generator=generator)
        return poses.compose(objects, (a.to(turned), b.to(place)))

    def log_prob(self, grasps: Pose, objects: Pose) -> Tensor:
        """The log-density given the objects, `(B,)`."""
        return self._world().log_prob(poses.relative(grasps, objects))

    def model(self, process: ProductProcess, objects: Pose) -> Model:
        """The exact prediction of a product of `Brownian` and `Gaussian` for grasps of some
        objects: the score of the rotation and the mean of the position."""
        world = self._world(process)
        turned, place = objects

        def prediction(x_t: Pose, t: Time, c: Any = None) -> Pose:
            alpha = torch.as_tensor(process.factors[1].clock.values(t)[0]).to(place)
            faded = alpha.reshape(-1, 1) * place
            score, mean = world.model()(poses.relative(x_t, (turned, faded)), t)
            # A score is a tangent vector at the rotation, and turns like it.
            return poses.compose(objects, (score, mean))

        return prediction

    def success(self, grasps: Pose, objects: Pose, angle: float, distance: float) -> Tensor:
        """Whether each grasp is within an angle and a distance of one of the components, `(B,)`."""
        hand, at = poses.relative(grasps, objects)
        n, k = len(hand), len(self.rotations)
        wanted = self.rotations.to(hand).repeat(n, 1, 1)
        turns = SO3().distance(hand.repeat_interleave(k, 0), wanted).reshape(n, k)
        gaps = (at.unsqueeze(1) - self.positions.to(at)).norm(dim=-1)
        return ((turns < angle) & (gaps < distance)).any(1)

    def _world(self, process: ProductProcess | None = None) -> AnalyticHeatMixture:
        """The mixture in the frame of the object."""
        if process is None:
            process = ProductProcess((Brownian(SO3()), Gaussian(VE())))
        count = len(self.rotations)
        if len(self.positions) != count:
            raise InputError(f"{count} rotations take as many positions, not {len(self.positions)}")
        spread = self.rotations.new_full((count,), 1.0)
        means = self.rotations, self.positions
        variances = self.angle_variance * spread, self.variance * spread
        return AnalyticHeatMixture(process, means, variances, self.weights)
