"""Draws as the plain dictionary from which ArviZ makes its tables and plots."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from torch import Tensor

from pushforward.errors import InputError

__all__ = ["arviz_dict"]


def arviz_dict(
    draws: Tensor,
    *,
    names: Sequence[str] = (),
    chains: bool = False,
    observed: Tensor | Mapping[str, Tensor] | None = None,
    sample_stats: Mapping[str, Tensor] | None = None,
) -> dict[str, dict[str, Any]]:
    """`{"posterior": {name: (chain, draw, *shape)}, ...}` of numpy arrays.

    `arviz.from_dict(found)` of ArviZ 1 takes it, and `arviz.from_dict(**found)` of ArviZ 0. Nothing
    of ArviZ is needed to make it.

    Args:
        draws: independent draws `(n, *event)`, which make one chain; or several chains with
            `chains=True`, `(n, chains, *event)`, as `mcmc` has them.
        names: of the numbers of a vector, each its own variable; without them one variable `theta`.
        chains: whether the second axis counts chains.
        observed: the data, or several by name.
        sample_stats: by name, `(n,)` or `(n, chains)`, such as `{"lp": log_prob}`.

    Raises `InputError` for names that do not fit, are given twice, or stats of another shape.

    >>> import torch
    >>> found = arviz_dict(torch.zeros(100, 2), names=["beta", "gamma"], observed=torch.ones(10))
    >>> found["posterior"]["gamma"].shape, found["observed_data"]["y"].shape
    ((1, 100), (10,))
    """
    least = 2 if chains else 1
    if draws.ndim < least:
        raise InputError(
            f"draws have shape ({'n, chains' if chains else 'n'}, *event), not {tuple(draws.shape)}"
        )
    by_chain = _by_chain(draws, chains)
    if names:
        size = by_chain.shape[-1] if by_chain.ndim == 3 else 0
        if len(names) != size or len(set(names)) != size:
            raise InputError(
                f"{size} numbers have a name each, all different, not {', '.join(names)}"
            )
        posterior = {name: by_chain[..., k] for k, name in enumerate(names)}
    else:
        posterior = {"theta": by_chain}
    found: dict[str, dict[str, Any]] = {"posterior": posterior}
    stats = {name: _by_chain(values, chains) for name, values in (sample_stats or {}).items()}
    for name, values in stats.items():
        if values.shape != by_chain.shape[:2]:
            raise InputError(
                f"sample_stats {name!r} has a number for each draw, {by_chain.shape[1::-1]}, not "
                f"{tuple(values.shape)}"
            )
    if stats:
        found["sample_stats"] = stats
    if observed is not None:
        data = {"y": observed} if isinstance(observed, Tensor) else observed
        found["observed_data"] = {name: _array(values) for name, values in data.items()}
    return found


def _by_chain(x: Tensor, chains: bool) -> Any:
    """`(chain, draw, ...)`."""
    return _array(x.transpose(0, 1) if chains and x.ndim > 1 else x[None])


def _array(x: Tensor) -> Any:
    return np.ascontiguousarray(x.detach().cpu().numpy())
