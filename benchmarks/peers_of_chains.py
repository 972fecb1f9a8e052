"""The no-U-turn sampler of blackjax on the targets that both sides can write down."""

from __future__ import annotations

import math
import time
from typing import Any

import blackjax
import jax
import jax.numpy as jnp
import numpy as np
import torch
from torch import Tensor

from pushforward import mcmc
from pushforward.targets import hierarchical

__all__ = ["blackjax_nuts"]

jax.config.update("jax_enable_x64", True)


def _student(x: Any, freedom: float = 5.0) -> Any:
    return -(freedom + len(x)) / 2 * jnp.log1p((x**2).sum() / freedom)


def _banana(x: Any, scale: float = 10.0, bend: float = 0.03) -> Any:
    y = x[1] - bend * (x[0] ** 2 - scale**2)
    return -0.5 * ((x[0] / scale) ** 2 + y**2)


def _schools(x: Any) -> Any:
    observed, errors = jnp.array(hierarchical._EFFECTS), jnp.array(hierarchical._ERRORS)
    effects = x[0] + jnp.exp(x[1]) * x[2:]
    prior = -0.5 * ((x[0] / 10) ** 2 + (x[1] - 5) ** 2 + (x[2:] ** 2).sum())
    return prior - 0.5 * (((observed - effects) / errors) ** 2).sum()


DENSITIES = {"student": _student, "banana": _banana, "eight-schools-noncentered": _schools}


def blackjax_nuts(name: str, start: Tensor, seed: int, draws: int, warmup: int) -> dict[str, Any]:
    """Effective sample size per gradient after its own window adaptation, chain by chain."""
    density = DENSITIES[name]
    keys = jax.random.split(jax.random.PRNGKey(seed), len(start))

    def one(key: Any, x: Any) -> Any:
        first, second = jax.random.split(key)
        adapt = blackjax.window_adaptation(blackjax.nuts, density)
        (state, parameters), _ = adapt.run(first, x, num_steps=warmup)
        kernel = blackjax.nuts(density, **parameters).step

        def step(state: Any, key: Any) -> Any:
            state, info = kernel(key, state)
            return state, (state.position, info.num_integration_steps)

        return jax.lax.scan(step, state, jax.random.split(second, draws))[1]

    run = jax.jit(jax.vmap(one))
    x = jnp.array(start.numpy())
    jax.block_until_ready(run(keys, x))
    begin = time.perf_counter()
    positions, steps = jax.block_until_ready(run(keys, x))
    seconds = time.perf_counter() - begin
    trace = torch.from_numpy(np.array(positions)).transpose(0, 1)
    size = float(mcmc.bulk_ess(trace).min())
    spent = float(np.array(steps).sum())
    return {
        "blackjax ess per gradient": round(size / spent, 4) if math.isfinite(size) else None,
        "blackjax seconds": round(seconds, 1),
    }
