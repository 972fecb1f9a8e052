"""States of other contexts carried into one: forward-backward sampling of a conditional model."""

from __future__ import annotations

from typing import Any

from pushforward import state
from pushforward._random import derived_seed, fresh_seed
from pushforward.errors import CapabilityError
from pushforward.models.transport_map import TransportMap
from pushforward.protocols import Sampler

__all__ = ["recondition"]


def recondition(
    model: TransportMap,
    x: Any,
    c: Any,
    to: Any,
    *,
    sampler: str | Sampler | None = None,
    steps: int | None = None,
    seed: int | None = None,
    batch_size: int | None = None,
) -> Any:
    """Pairs `(x, c)` of data carried to draws of `p(x | to)`, in data units.

    Back to the source in their own contexts, and forward in the other: forward-backward sampling
    (CDSB-FB, Shi et al. 2022), for a deterministic `sampler` the composed map of Spantini,
    Baptista & Marzouk (2022). The way forward then starts from where paths of the model do end,
    instead of from the source that they should reach, so that errors of both ways cancel in part.
    A state alone says what it would have been in another context.

    Args:
        model: a trained `SchrodingerBridge` or `FlowMatching` with labels or contexts.
        x: states of the target `(B, *event)`: held-out data, with enough of them for the draws.
        c: their labels or contexts.
        to: one label or context for all, or one for each.
        sampler: as for `model.forward`; the model's own by default.
        steps: of the sampler, each way.
        seed: of the noise of random paths.
        batch_size: states per evaluation of the network.

    Raises `CapabilityError` for a model without contexts.

    >>> import torch, pushforward as pf
    >>> flow = pf.FlowMatching(pf.nn.MLP(2, width=8, context=1), event_shape=2)
    >>> recondition(flow, torch.zeros(3, 2), torch.zeros(3, 1), [1.0], steps=4).shape
    torch.Size([3, 2])
    """
    if not model.condition.conditional:
        raise CapabilityError("this model takes no labels or contexts: there is none to change")
    seed = fresh_seed(seed)
    more: dict[str, Any] = {"sampler": sampler, "steps": steps, "batch_size": batch_size}
    z = model.backward(x, c, seed=seed, **more)
    z = state.to(z, model.device)
    return model.forward(z, to, seed=derived_seed(seed, 2), **more)
