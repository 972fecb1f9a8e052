"""Networks for vectors at equal time: ours, its parts left out one by one, and those of others.

Diffusion and flow matching on laws whose density is known; each network trains as long as the
others on one core. A step of each is timed in turns first, and the number of steps follows. What is
shown is the held-out negative log-likelihood less that of the law itself.

    make bench-env
    .venv-bench/bin/python benchmarks/networks.py --write
    .venv-bench/bin/python benchmarks/networks.py --data mixture-16 --seeds 0 --part a.jsonl

Several processes can share the work, each with a `--part` of its own: see `shared.py`.
"""

from __future__ import annotations

import math
import statistics
import time
from collections.abc import Callable
from functools import cache
from importlib.util import find_spec
from itertools import product
from typing import Any

import torch
from torch import Tensor, nn

import pushforward as pf
import record
import shared
import timing
import trainings
from pushforward.distributions import GaussianMixture
from pushforward.nn.conditioning import Conditioning

SECONDS = 10.0
ROWS, HELD_OUT = 10_000, 500
SEEDS = (0, 1, 2, 3, 4)
FAMILIES = {"diffusion": pf.Diffusion, "matching": pf.FlowMatching}
LAWS = ("25gaussians", "checkerboard", "mixture-5", "mixture-16", "mixture-64")


# -- networks of others, from their descriptions ------------------------------------------------


class TimeAppended(nn.Module):
    """A network of a vector and its time, `net([x, t])`, as torchcfm and zuko make them."""

    def __init__(self, net: nn.Module) -> None:
        super().__init__()
        self.net = net

    def forward(self, x: Tensor, t: Tensor, c: Tensor | None = None) -> Tensor:
        out: Tensor = self.net(torch.cat([x, t.reshape(-1, 1).expand(len(x), 1)], 1))
        return out


class AdaptiveNorm(nn.Module):
    """Residual blocks of two layers whose normalized input is scaled, shifted and gated by time.

    As in Peebles & Xie (2023) for images, and in the vector fields of sbi: width 100, five blocks.
    """

    def __init__(self, size: int, width: int = 100, depth: int = 5) -> None:
        super().__init__()
        self.conditioning = Conditioning(width)
        self.first, self.last = nn.Linear(size, width), nn.Linear(width, size)
        self.norm = nn.LayerNorm(width, elementwise_affine=False)
        self.modulations = nn.ModuleList(nn.Linear(width, 3 * width) for _ in range(depth))
        self.blocks = nn.ModuleList(
            nn.Sequential(nn.Linear(width, width), nn.GELU(), nn.Linear(width, width))
            for _ in range(depth)
        )
        for layer in self.modulations:
            nn.init.zeros_(layer.weight)
            nn.init.zeros_(layer.bias)

    def forward(self, x: Tensor, t: Tensor, c: Tensor | None = None) -> Tensor:
        given = nn.functional.silu(self.conditioning(t, c, len(x)))
        h = self.first(x)
        for modulation, block in zip(self.modulations, self.blocks, strict=True):
            scale, shift, gate = modulation(given).chunk(3, -1)
            h = h + gate * block(self.norm(h) * (1 + scale) + shift)
        out: Tensor = self.last(self.norm(h))
        return out


class Sinusoidal(nn.Module):
    """Residual layers on sinusoidal embeddings of time and of each coordinate, three of width 128.

    The small network for points of the plane that code of denoising diffusions comes with: each
    number times 25 is embedded like a position in a text.
    """

    def __init__(self, size: int, width: int = 128, depth: int = 3, features: int = 128) -> None:
        super().__init__()
        half = features // 2
        self.register_buffer("rates", torch.exp(-torch.arange(half) * math.log(1e4) / (half - 1)))
        self.first = nn.Linear((size + 1) * features, width)
        self.hidden = nn.ModuleList(nn.Linear(width, width) for _ in range(depth))
        self.last = nn.Linear(width, size)
        self.activation = nn.GELU()

    def forward(self, x: Tensor, t: Tensor, c: Tensor | None = None) -> Tensor:
        numbers = torch.cat([25 * x, 1000 * t.reshape(-1, 1).expand(len(x), 1)], 1)
        angles = numbers.unsqueeze(-1) * self.rates
        h = self.activation(self.first(torch.cat([angles.sin(), angles.cos()], -1).flatten(1)))
        for layer in self.hidden:
            h = h + self.activation(layer(h))
        out: Tensor = self.last(h)
        return out


class Shifted(nn.Module):
    """Residual layers without normalization, shifted by time: what `nn.MLP` was before."""

    def __init__(self, size: int, width: int, depth: int = 4, frequencies: int = 0) -> None:
        super().__init__()
        self.conditioning = Conditioning(width)
        self.features = pf.nn.FourierFeatures(size, frequencies)
        self.first = nn.Linear(self.features.features, width)
        self.hidden = nn.ModuleList(nn.Linear(width, width) for _ in range(depth - 1))
        self.last = nn.Linear(width, size)
        nn.init.zeros_(self.last.weight)
        nn.init.zeros_(self.last.bias)

    def forward(self, x: Tensor, t: Tensor, c: Tensor | None = None) -> Tensor:
        given = self.conditioning(t, c, len(x))
        h = nn.functional.silu(self.first(self.features(x)) + given)
        for layer in self.hidden:
            h = h + nn.functional.silu(layer(h) + given)
        out: Tensor = self.last(h)
        return out


class Quantiles(nn.Module):
    """`nn.MLP` on piecewise-linear encodings of each coordinate (Gorishniy et al. 2022), 16 bins.

    The bins are equally likely under the standard normal law, which standardized and noised data
    are near to; within its bin a number is known to rise from 0 to 1.
    """

    def __init__(self, size: int, width: int, bins: int = 16) -> None:
        super().__init__()
        levels = torch.linspace(0, 1, bins + 1)[1:-1]
        inner = torch.distributions.Normal(0.0, 1.0).icdf(levels)
        edges = torch.cat([torch.tensor([-4.0]), inner, torch.tensor([4.0])])
        self.register_buffer("low", edges[:-1])
        self.register_buffer("spans", edges[1:] - edges[:-1])
        self.net = pf.nn.MLP(size * (bins + 1), width, 4, out=size, frequencies=0)

    def forward(self, x: Tensor, t: Tensor, c: Tensor | None = None) -> Tensor:
        shares = ((x.unsqueeze(-1) - self.low) / self.spans).clamp(0, 1).flatten(1)
        out: Tensor = self.net(torch.cat([x, shares], 1), t)
        return out


def _torchcfm(size: int, width: int) -> nn.Module:
    from torchcfm.models.models import MLP

    return TimeAppended(MLP(size, w=64, time_varying=True))


def _zuko(size: int, width: int) -> nn.Module:
    import zuko

    return TimeAppended(zuko.nn.MLP(size + 1, size, hidden_features=(64, 64)))


PEERS = ("torchcfm", "zuko")

NETWORKS: dict[str, Callable[[int, int], nn.Module]] = {
    "nn.MLP, the default": lambda size, width: pf.nn.MLP(size, width, 4),
    "… without frequencies": lambda size, width: pf.nn.MLP(size, width, 4, frequencies=0),
    "… five frequencies": lambda size, width: pf.nn.MLP(size, width, 4, frequencies=5),
    "… on quantile bins": Quantiles,
    "… twice the width": lambda size, width: pf.nn.MLP(size, 2 * width, 4),
    "… half the depth": lambda size, width: pf.nn.MLP(size, width, 2),
    "shifted by time, no norm": Shifted,
    "… and five frequencies": lambda size, width: Shifted(size, width, frequencies=5),
    "adaptive norm (sbi)": lambda size, width: AdaptiveNorm(size),
    "sinusoidal (tiny diffusion)": lambda size, width: Sinusoidal(size),
    "torchcfm": _torchcfm,
    "zuko": _zuko,
}


# -- laws ---------------------------------------------------------------------------------------


def law_of(name: str) -> GaussianMixture | None:
    """The law as a mixture; `None` for the checkerboard, whose density is 1/32."""
    modes = pf.data.toys.modes(name)
    if modes is not None:
        return GaussianMixture(modes.centers, modes.std**2)
    if name == "checkerboard":
        return None
    # Six modes of full covariance.
    size = int(name.removeprefix("mixture-"))
    generator = torch.Generator().manual_seed(7)
    means = torch.randn(6, size, generator=generator)
    roots = 0.5 * torch.randn(6, size, size, generator=generator) / math.sqrt(size)
    return GaussianMixture(means, roots @ roots.mT + 0.09 * torch.eye(size))


def rows_of(name: str, seed: int) -> tuple[Tensor, Tensor, float]:
    """What is learned from, what is judged by, and the law's own score there, in nats."""
    law = law_of(name)
    if law is None:
        train = pf.data.load(name, n=ROWS, seed=seed).x
        return train, pf.data.load(name, n=HELD_OUT, seed=1000 + seed).x, math.log(32)
    train, test = law.sample(ROWS, seed=seed), law.sample(HELD_OUT, seed=1000 + seed)
    return train, test, -float(law.log_prob(test).mean())


def made(network: str, size: int, seed: int) -> nn.Module:
    """A network with the width that `default_network` takes for so many numbers."""
    torch.manual_seed(seed)
    return NETWORKS[network](size, min(1024, max(128, 4 * size)))


# -- runs ---------------------------------------------------------------------------------------


def steps_of(names: list[str], name: str, turns: int, steps: int) -> dict[str, float]:
    """Seconds of a training step of each network on some data: `steps` at once, timed in turns."""
    data = rows_of(name, 0)[0]

    def case(network: str) -> Callable[[], float]:
        def train() -> None:
            model = pf.Diffusion(made(network, data.shape[1], 0))
            trainings.fit(model, data, steps=steps, progress=False, holdout=0.0, device="cpu")

        return timing.worked(train)

    cases = {network: case(network) for network in names}
    spent: dict[str, list[float]] = {network: [] for network in names}
    for _ in range(turns):
        for network, run in cases.items():
            spent[network].append(run() / steps)
    return {network: statistics.median(values) for network, values in spent.items()}


def run(
    data: str, family: str, network: str, seed: int, step: float, smoke: bool
) -> dict[str, Any]:
    """Train one network as long as all others, and judge it."""
    train, test, truth = rows_of(data, seed)
    net = made(network, train.shape[1], seed)
    model: Any = FAMILIES[family](net)
    steps = 2 if smoke else max(1, round(SECONDS / step))
    start = time.process_time()
    trainings.fit(model, train, steps=steps, seed=seed, progress=False, holdout=0.0, device="cpu")
    spent = time.process_time() - start
    found = model.log_prob(test[:20] if smoke else test, seed=0)
    return {
        "steps": steps,
        "seconds": round(spent, 2),
        "parameters": sum(p.numel() for p in net.parameters()),
        "gap": -float(found.value.mean()) - truth,
    }


def text(results: list[dict[str, Any]]) -> str:
    """A table per family: a row for each network, a column for each law."""
    parts = []
    for family in FAMILIES:
        own = [result for result in results if result["family"] == family]
        laws = [name for name in LAWS if any(result["data"] == name for result in own)]
        rows = []
        for network in NETWORKS:
            cells = [
                _cell([r for r in own if (r["network"], r["data"]) == (network, law)])
                for law in laws
            ]
            if any(cell != "–" for cell in cells):
                rows.append([network, *cells])
        if rows:
            parts.append(f"**{family}**\n\n{record.table(['', *laws], rows)}")
    return "\n\n".join(parts)


def _cell(results: list[dict[str, Any]]) -> str:
    """The mean over seeds with its error, and how many steps were made."""
    if not results:
        return "–"
    values = [result["gap"] for result in results]
    error = statistics.stdev(values) / len(values) ** 0.5 if len(values) > 1 else 0.0
    steps = statistics.median(result["steps"] for result in results)
    return f"{pf.metrics.Estimate(statistics.fmean(values), error, len(values))} ({steps:,.0f})"


def main() -> None:
    """Train, judge, print, and with `--write` record."""
    options = shared.arguments(
        __doc__,
        data=(LAWS, "which laws"),
        families=(FAMILIES, "which families"),
        networks=(NETWORKS, "which networks"),
        seeds=(SEEDS, "which seeds"),
    ).parse_args()
    timing.one_thread()
    there = [name for name in options.networks if name not in PEERS or find_spec(name)]
    if len(there) < len(options.networks) and not options.smoke and not options.merge:
        raise SystemExit("the networks of others are not installed: make bench-env")
    if options.smoke:
        options.data, options.seeds = options.data[:1], options.seeds[:1]
    cases = [
        {"data": name, "family": family, "network": network, "seed": seed}
        for name, seed in product(options.data, options.seeds)
        for family, network in product(options.families, there)
        # Every network and every family, not every pair.
        if not options.smoke or family == options.families[0] or network == there[0]
    ]

    @cache
    def step(data: str) -> dict[str, float]:
        return steps_of(there, data, *((1, 2) if options.smoke else (5, 60)))

    def trained(**case: Any) -> dict[str, Any]:
        return run(**case, step=step(case["data"])[case["network"]], smoke=options.smoke)

    results = shared.gathered(options, cases, trained)
    print(text(results))
    if options.write:
        facts = {"environment": record.environment("torchcfm", "zuko"), "seconds": SECONDS}
        record.save("networks", facts | {"results": results}, text(results))


if __name__ == "__main__":
    main()
