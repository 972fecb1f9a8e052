"""Other libraries with the settings of their own first examples, for as many seconds as ours.

None of them has a command or a class that trains on a table by itself: what stands here is what
their documentation shows, network, optimizer, rate and batch, on columns of mean 0 and deviation 1.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor, nn

from networks import Sinusoidal

__all__ = ["PEERS", "Peer", "Trained"]


class Trained(NamedTuple):
    """A model of standardized rows `(n, d)`: draws, and log-densities where there are any."""

    net: nn.Module
    steps: int
    sample: Callable[[int], Tensor]
    log_prob: Callable[[Tensor], Tensor] | None


class Peer(NamedTuple):
    """What is trained for as many seconds as the `rival` among our families."""

    package: str
    rival: str
    train: Callable[[Tensor, float], Trained]


def _descended(
    net: nn.Module,
    loss: Callable[[Tensor], Tensor],
    x: Tensor,
    batch: int,
    lr: float,
    seconds: float,
) -> int:
    """Adam for some seconds of a processor; the number of steps."""
    optimizer = torch.optim.Adam(net.parameters(), lr=lr)
    start, steps = time.process_time(), 0
    while steps == 0 or time.process_time() - start < seconds:
        optimizer.zero_grad()
        loss(x[torch.randint(len(x), (batch,))]).backward()
        optimizer.step()
        steps += 1
    return steps


def _torchcfm(x: Tensor, seconds: float) -> Trained:
    """The tutorial of flow matching: `MLP` of width 64, batches of 256, Dormand-Prince."""
    from torchcfm.conditional_flow_matching import ConditionalFlowMatcher
    from torchcfm.models.models import MLP
    from torchdiffeq import odeint

    net, matcher = MLP(x.shape[1], time_varying=True), ConditionalFlowMatcher()

    def loss(x1: Tensor) -> Tensor:
        t, xt, velocity = matcher.sample_location_and_conditional_flow(torch.randn_like(x1), x1)
        return (net(torch.cat([xt, t[:, None]], 1)) - velocity).square().mean()

    steps = _descended(net, loss, x, 256, 1e-3, seconds)

    def field(t: Tensor, xt: Tensor) -> Tensor:
        out: Tensor = net(torch.cat([xt, t.expand(len(xt), 1)], 1))
        return out

    def widened(t: Tensor, state: tuple[Tensor, Tensor]) -> tuple[Tensor, Tensor]:
        with torch.enable_grad():
            xt = state[0].requires_grad_()
            v = field(t, xt)
            slopes = [
                torch.autograd.grad(v[:, k].sum(), xt, retain_graph=True)[0][:, k]
                for k in range(v.shape[1])
            ]
        return v.detach(), torch.stack(slopes).sum(0)

    exactly = {"method": "dopri5", "rtol": 1e-4, "atol": 1e-4}

    def sample(n: int) -> Tensor:
        found: Tensor = odeint(
            field, torch.randn(n, x.shape[1]), torch.tensor([0.0, 1.0]), **exactly
        )
        return found[-1]

    def log_prob(given: Tensor) -> Tensor:
        begin = given, torch.zeros(len(given))
        z, change = odeint(widened, begin, torch.tensor([1.0, 0.0]), **exactly)
        log_normal = -z[-1].square().sum(1) / 2 - z.shape[-1] / 2 * math.log(2 * math.pi)
        found: Tensor = log_normal + change[-1]
        return found

    return Trained(net, steps, torch.no_grad()(sample), log_prob)


def _zuko(x: Tensor, seconds: float) -> Trained:
    """The tutorial of `NSF`: its defaults, batches of 64."""
    import zuko

    flow = zuko.flows.NSF(x.shape[1])
    steps = _descended(flow, lambda x: -flow().log_prob(x).mean(), x, 64, 1e-3, seconds)
    return Trained(flow, steps, lambda n: flow().sample((n,)), lambda x: flow().log_prob(x))


def _normflows(x: Tensor, seconds: float) -> Trained:
    """The spline flow of its README: 16 autoregressive layers of width 128, batches of 512."""
    import normflows as nf

    d, parts = x.shape[1], []
    for _ in range(16):
        parts += [nf.flows.AutoregressiveRationalQuadraticSpline(d, 2, 128)]
        parts += [nf.flows.LULinearPermute(d)]
    flow = nf.NormalizingFlow(nf.distributions.DiagGaussian(d, trainable=False), parts)
    steps = _descended(flow, flow.forward_kld, x, 512, 5e-4, seconds)
    flow.eval()
    return Trained(flow, steps, lambda n: flow.sample(n)[0], flow.log_prob)


def _diffusers(x: Tensor, seconds: float) -> Trained:
    """A small denoising network of points, and the scheduler with its defaults and 1,000 steps."""
    from diffusers import DDPMScheduler

    # Cut to [-1, 1], as pictures are, rows of deviation 1 would lose most of themselves.
    net, scheduler = Sinusoidal(x.shape[1]), DDPMScheduler(clip_sample=False)

    def loss(x0: Tensor) -> Tensor:
        noise, t = torch.randn_like(x0), torch.randint(0, 1000, (len(x0),))
        return (net(scheduler.add_noise(x0, noise, t), t / 1000) - noise).square().mean()

    steps = _descended(net, loss, x, 128, 1e-3, seconds)

    def sample(n: int) -> Tensor:
        drawn = torch.randn(n, x.shape[1])
        for t in scheduler.timesteps:
            noise = net(drawn, (t / 1000).expand(n))
            drawn = scheduler.step(noise, t, drawn).prev_sample
        return drawn

    return Trained(net, steps, torch.no_grad()(sample), None)


PEERS = {
    "diffusers, DDPM": Peer("diffusers", "diffusion", _diffusers),
    "torchcfm, its MLP": Peer("torchcfm", "matching", _torchcfm),
    "zuko, NSF": Peer("zuko", "flow", _zuko),
    "normflows, splines": Peer("normflows", "flow", _normflows),
}
