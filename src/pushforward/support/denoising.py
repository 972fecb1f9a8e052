r"""The denoiser of a trained model as a function of states and a noise level.

    D(x, sigma) = E[x_0 | x_0 + sigma e = x] = x + sigma^2 score(x, sigma)

in the units of the model, where the data have a scale of about one (`model.inward`).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from pushforward import state
from pushforward.checks import positive
from pushforward.errors import InputError
from pushforward.models import GenerativeModel

__all__ = ["Denoise", "denoise_with"]

Denoise = Callable[[Tensor, float], Tensor]
"""`E[x_0 | x_0 + sigma e = x]` from states `(B, *event)` and a noise level."""


def denoise_with(model: GenerativeModel, c: Any = None) -> Denoise:
    """The denoiser of a model, for one label or context.

    Noise has a level in the units of the model; a process that also shrinks the data is asked at
    the time of the same signal-to-noise ratio. Gradients in the states go through it.

    Raises `CapabilityError` for a model that has none (`GenerativeModel.denoiser`), `InputError`
    for a level outside of those that the model was trained for.

    >>> import pushforward as pf
    >>> model = pf.Diffusion(pf.nn.MLP(2, width=16), event_shape=(2,))
    >>> denoise_with(model)(torch.zeros(3, 2), 0.1).shape
    torch.Size([3, 2])
    """
    single = model.denoiser(c, 1)
    clock = single.process.schedule
    # Where sampling starts and stops; a level outside was never trained.
    lowest, highest = (math.exp(-float(clock.log_snr(t)) / 2) for t in (single.stop, single.start))

    def denoise(x: Tensor, sigma: float) -> Tensor:
        positive("sigma", sigma)
        if not lowest * 0.999 <= sigma <= highest * 1.001:
            raise InputError(
                f"sigma={sigma:g} lies outside of the noise levels of this model, {lowest:.3g} to "
                f"{highest:.3g} standard deviations of the data"
            )
        t = float(clock.time_at_log_snr(torch.tensor(-2 * math.log(sigma), dtype=torch.float64)))
        t = min(max(t, single.stop), single.start)
        alpha = float(clock.values(t)[0])
        n = state.rows(x)
        own = single if n == 1 or c is None else model.denoiser(c, n)
        with model.evaluating():
            found: Tensor = own.model(slice(0, n))(alpha * x, t)
        return found

    return denoise
