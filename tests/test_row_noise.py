"""Noise that belongs to rows: independent from draw to draw, and the same in any batch."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from pushforward import Transport, mcmc, registry, samplers, schedules, state
from pushforward._random import (
    RowNoise,
    categories,
    even_rows,
    fork,
    fresh_seed,
    normal,
    normal_like,
    resolve,
    uniform,
    uniform_like,
)
from pushforward.analytic import (
    AnalyticCounts,
    AnalyticFunctions,
    AnalyticMixture,
    AnalyticPair,
    AnalyticTokens,
)
from pushforward.distributions import (
    ColoredNormal,
    Distribution,
    GaussianMixture,
    ManifoldUniform,
    Normal,
    Table,
    VonMisesFisher,
    WrappedNormal,
)
from pushforward.errors import InputError
from pushforward.processes import (
    Brownian,
    Gaussian,
    JumpDiffusion,
    Masking,
    ProductProcess,
    Thinning,
)
from pushforward.spaces import Hilbert, Sphere, Tokens, Torus
from pushforward.spaces.kernels import Exponential

SHAPES = [(2,), (2,), (5,), (2,), *(40 * [(3, 200)]), ()]


def draws(seed: int, rows: slice, shapes: list[tuple[int, ...]]) -> list[Tensor]:
    """Normal and uniform numbers in turn."""
    noise, n = RowNoise(seed, rows), rows.stop - rows.start
    kinds = (normal_like, uniform_like)
    return [kinds[i % 3 == 1](torch.empty(n, *shape), noise) for i, shape in enumerate(shapes)]


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
@pytest.mark.parametrize("shape", [(2,), (3, 40), ()], ids=str)
@pytest.mark.parametrize("kind", ["normal", "uniform"])
def test_draws_are_independent_numbers_of_their_distribution(
    kind: str, shape: tuple[int, ...], dtype: torch.dtype
) -> None:
    """Within what is drawn ahead, and from one such piece to the next."""
    noise, draw = RowNoise(0, slice(0, 400)), {"normal": normal, "uniform": uniform}[kind]
    drawn = [draw((400, *shape), noise, dtype=dtype).flatten() for _ in range(80)]
    found = torch.stack(drawn).double()
    if kind == "uniform":
        assert 0 <= float(found.min()) < float(found.max()) < 1
        found = torch.special.ndtri(found.clamp(1e-9, 1 - 1e-9))
    count, limit = found.numel(), 4 / found.numel() ** 0.5
    assert float(found.mean()) == pytest.approx(0.0, abs=limit)
    assert float(found.var()) == pytest.approx(1.0, abs=limit * 2**0.5)
    assert float(found.pow(4).mean()) == pytest.approx(3.0, abs=limit * 96**0.5)
    across = torch.corrcoef(found) - torch.eye(len(found))
    assert float(across.abs().max()) < 6 / found.shape[1] ** 0.5
    # Kolmogorov and Smirnov: above 1.95 with a chance of 1e-3.
    ranks = (torch.arange(count) + 0.5) / count
    away = torch.special.ndtr(found.flatten().sort().values) - ranks
    assert float(away.abs().max()) * count**0.5 < 1.95


def test_rows_seeds_and_places_are_independent() -> None:
    drawn = torch.stack([normal((64, 8), RowNoise(seed, slice(0, 64))) for seed in range(2000)])
    drawn = drawn.flatten(1).T
    across = torch.corrcoef(drawn) - torch.eye(len(drawn))
    assert float(across.abs().max()) < 6 / 2000**0.5
    # All bits of the words that are hashed.
    noise = RowNoise(3, slice(0, 1000))
    bits = (uniform((1000, 200), noise) * 2.0**24).long()
    for k in range(24):
        share = float(((bits >> k) & 1).double().mean())
        assert share == pytest.approx(0.5, abs=4 * 0.5 / 200_000**0.5)


def test_a_row_has_its_noise_in_any_batch() -> None:
    """Also where kinds and shapes change on the way."""
    whole = draws(7, slice(0, 50), SHAPES)
    for part in (slice(0, 1), slice(15, 17), slice(20, 50), slice(3, 3)):
        for one, other in zip(whole, draws(7, part, SHAPES), strict=True):
            assert torch.equal(one[part], other)
    assert not torch.equal(whole[0], draws(8, slice(0, 50), SHAPES)[0])


def test_noise_of_some_rows_goes_on_from_where_it_stands() -> None:
    noise, chosen = RowNoise(7, slice(0, 50)), torch.tensor([30, 2])
    x = torch.empty(50, 3)
    normal_like(x, noise)
    parts = [noise.take(slice(5, 9)), noise.take(chosen)]
    after = normal_like(x, noise)
    assert torch.equal(normal_like(x[5:9], parts[0]), after[5:9])
    assert torch.equal(normal_like(x[:2], parts[1]), after[chosen])


def test_forks_belong_to_rows_and_differ() -> None:
    first, second = RowNoise(7, slice(0, 9)), RowNoise(7, slice(4, 6))
    found = [uniform((27,), fork(first, copies=3)).view(9, 3) for _ in range(2)]
    fewer = [uniform((6,), fork(second, copies=3)).view(2, 3) for _ in range(2)]
    assert all(torch.equal(a[4:6], b) for a, b in zip(found, fewer, strict=True))
    assert len(torch.cat(found).unique()) == 54
    generator = resolve(0)
    assert fork(generator, copies=3) is generator


def test_torch_refuses_the_noise_of_rows() -> None:
    """It would draw from a stream without a seed, the same for every row."""
    with pytest.raises(TypeError):
        torch.rand(2, generator=RowNoise(0, slice(0, 2)))
    with pytest.raises(InputError, match="4 rows"):
        normal((2, 3), RowNoise(0, slice(0, 4)))
    with pytest.raises(InputError, match="4 rows"):
        resolve(generator=RowNoise(0, slice(0, 4)), rows=2)


@pytest.mark.parametrize("plain", [True, False], ids=["generator", "rows"])
@pytest.mark.parametrize("like", [normal_like, uniform_like])
def test_noise_does_not_depend_on_the_memory_layout(like, plain: bool) -> None:
    x = torch.zeros(4, 3, 8, 8)
    layouts = [
        x,
        x.contiguous(memory_format=torch.channels_last),
        x.transpose(1, 3).contiguous().transpose(1, 3),
        x[:1].expand(4, -1, -1, -1),
        torch.zeros(4, 3, 8, 16)[..., ::2],
    ]
    found = [like(y, resolve(0) if plain else resolve(0, rows=4)) for y in layouts]
    assert all(torch.equal(found[0], one) for one in found)
    assert found[1].is_contiguous(memory_format=torch.channels_last)


def test_states_of_another_layout_get_the_same_samples() -> None:
    process = Gaussian(schedules.VP())
    x = torch.randn(4, 3, 8, 8, generator=resolve(0))
    y = x.contiguous(memory_format=torch.channels_last)
    transport = Transport(lambda x, t, c=None: 0.5 * x, process)
    log_p = lambda x: -x.square().flatten(1).sum(-1) / 2  # noqa: E731
    for call in (
        lambda x: process.sample(x, 0.5, resolve(1)),
        lambda x: samplers.run(samplers.Ancestral(), transport, x, [0.9, 0.5, 0.1], seed=1),
        lambda x: mcmc.run(mcmc.HMC(), log_p, x, 3, seed=1).x,
    ):
        assert call(y) == pytest.approx(call(x), abs=1e-6)


def test_precisions_and_devices() -> None:
    for dtype in (torch.half, torch.bfloat16):
        low = normal((400, 50), RowNoise(1, slice(0, 400)), dtype=dtype)
        assert low.dtype == dtype
        assert float(low.float().std()) == pytest.approx(1, abs=0.02)
    double = normal((3, 200), RowNoise(1, slice(0, 3)), dtype=torch.float64)
    assert not torch.equal(double, double.float().double())
    assert normal((2, 0, 3), RowNoise(1, slice(0, 2))).shape == (2, 0, 3)


def test_categories_have_their_chances() -> None:
    weights = torch.tensor([0.0, 1.0, 0.0, 3.0, 0.0])
    for generator in (resolve(0), resolve(0, rows=20_000)):
        found = categories(weights, 20_000, generator).bincount(minlength=5) / 20_000
        assert found[1] == pytest.approx(0.25, abs=4 * (0.25 * 0.75 / 20_000) ** 0.5)
        assert found[[0, 2, 4]].tolist() == [0, 0, 0]


DISTRIBUTIONS: list[Distribution] = [
    Normal((3, 4), 2.0),
    Normal((6,), 2.0, Hilbert(Exponential(length=1.0), points=6)),
    ColoredNormal(torch.tensor([[2.0, 1.0], [1.0, 2.0]])),
    GaussianMixture(torch.tensor([[2.0, 0.0], [-1.0, 1.0]]), 0.09),
    Table(torch.full((3, 3), 1 / 9)),
    ManifoldUniform(Torus(), (2,)),
    ManifoldUniform(Sphere(), (2, 3)),
    VonMisesFisher(torch.tensor([0.0, 0.6, 0.8]), 4.0),
    WrappedNormal(0.5, 0.4),
    ProductProcess((Gaussian(), Brownian(Torus()))).prior(((2,), (1,))),
    AnalyticCounts.example(),
    AnalyticPair(0.0, 1.0, covariance=0.3),
]


@pytest.mark.parametrize("distribution", DISTRIBUTIONS, ids=lambda d: type(d).__name__)
def test_a_row_of_a_distribution_depends_on_the_seed_and_its_number(distribution) -> None:
    """Of a prior, above all: fewer samples are the first of more, and a part is that of the whole.

    Arithmetic on tensors of another size may round another way.
    """
    whole, few = distribution.sample(40, seed=3), distribution.sample(15, seed=3)
    part = distribution.sample(10, generator=RowNoise(3, slice(20, 30)))
    for a, b in ((state.take(whole, slice(0, 15)), few), (state.take(whole, slice(20, 30)), part)):
        for one, other in zip(state.leaves(a), state.leaves(b), strict=True):
            torch.testing.assert_close(one, other, rtol=1e-6, atol=1e-6)


def _problems():
    mixture = AnalyticMixture(GaussianMixture(torch.tensor([[2.0, 0.0], [-1.0, 1.0]]), 0.09))
    gaussian = Gaussian(schedules.VP())
    functions, counts = AnalyticFunctions.on_grid(8), AnalyticCounts.example()
    curves = functions.process(schedules.VP())
    tokens = AnalyticTokens.random(3, 3, seed=0)
    masking, thinning, jumps = Masking(Tokens(3)), Thinning(), JumpDiffusion()
    sphere = Brownian(Sphere())
    product = ProductProcess((gaussian, Brownian(Torus())))
    still = lambda x, t, c=None: 0 * x  # noqa: E731
    yield "mixture", Transport(mixture.model(gaussian), gaussian), (2,)
    yield "functions", Transport(functions.model(curves), curves), (8,)
    yield "tokens", Transport(tokens.model(masking), masking), (3,)
    yield "points", Transport(counts.thinning_model(thinning), thinning), (6, 1)
    yield "jumps", Transport(counts.model(jumps), jumps), (6, 1)
    yield "sphere", Transport(still, sphere), (3,)
    yield "product", Transport(lambda x, t, c=None: (0 * x[0], 0 * x[1]), product), ((2,), (1,))


PROBLEMS = {name: (transport, shape) for name, transport, shape in _problems()}
ADAPTIVE = {"rk45", "adaptive-sde"}
TOKENS = {
    *("remdm", "gibbs", "first-hitting", "uniformization", "confidence", "entropy-bounded"),
}
CASES = [
    *(
        ("mixture", name)
        for name in registry.names("samplers")
        if name not in ADAPTIVE | TOKENS | {"birth-clocks"}
    ),
    ("points", "birth-clocks"),
    *(("tokens", name) for name in sorted(TOKENS)),
    *((problem, "sde") for problem in PROBLEMS),
    *((problem, "pinned") for problem in ("functions", "tokens", "points", "jumps")),
    *((problem, "tau-leap") for problem in ("tokens", "points", "jumps")),
]


@pytest.mark.filterwarnings("ignore:.*Langevin moves each are too few")
@pytest.mark.parametrize(("problem", "sampler"), CASES, ids=str)
def test_samples_do_not_depend_on_the_batch(problem: str, sampler: str) -> None:
    """The same seed, prior included: all at once, fewer of them, and a part as one of several."""
    (transport, shape), rule = PROBLEMS[problem], registry.resolve("samplers", sampler)
    prior = transport.process.prior(shape)
    times = [0.95, 0.7, 0.45, 0.2, 0.05]

    def sample(rows: slice):
        noise = RowNoise(5, rows)
        x = prior.sample(rows.stop - rows.start, generator=noise)
        return samplers.run(rule, transport, x, times, generator=noise)

    whole = sample(slice(0, 40))
    for part in (slice(0, 10), slice(17, 18)):
        for one, other in zip(
            state.leaves(state.take(whole, part)), state.leaves(sample(part)), strict=True
        ):
            torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-4)


def test_a_seed_of_a_run_is_that_of_its_rows() -> None:
    transport, _ = PROBLEMS["mixture"]
    x = Normal((2,)).sample(30, seed=0)
    rule = samplers.Ancestral()
    found = [samplers.run(rule, transport, y, [0.9, 0.5], seed=1) for y in (x, x[:7])]
    assert found[0][:7] == pytest.approx(found[1], abs=1e-5)
    log_p = lambda x: -x.square().sum(-1) / 2  # noqa: E731
    chains = [mcmc.run(mcmc.MALA(), log_p, y, 5, seed=1).x for y in (x, x[:7])]
    assert chains[0][:7] == pytest.approx(chains[1], abs=1e-5)


def test_brownian_motion_on_the_sphere_belongs_to_rows() -> None:
    """Small and large variances take different ways, and small ones draw until they are content."""
    x = ManifoldUniform(Sphere(), (2, 3)).sample(60, seed=0)
    variance = torch.logspace(-3, 0.5, 60)[torch.randperm(60, generator=resolve(0))]
    whole = Sphere().diffuse(x, variance, RowNoise(1, slice(0, 60)))
    for rows in (slice(0, 4), slice(30, 31)):
        part = Sphere().diffuse(x[rows], variance[rows], RowNoise(1, rows))
        torch.testing.assert_close(whole[rows], part, rtol=1e-4, atol=1e-5)
    # E cos(angle) = exp(-variance), each of 5000 draws with a standard deviation of at most .6.
    start = torch.tensor([[0.0, 0.0, 1.0]]).expand(5000, 3)
    for tau in (0.02, 0.5):
        moved = Sphere().diffuse(start, torch.full((5000,), tau), RowNoise(2, slice(0, 5000)))
        assert float(moved[:, 2].mean()) == pytest.approx(math.exp(-tau), abs=0.034)


def test_one_seed_for_a_call() -> None:
    assert fresh_seed(5) == 5
    assert fresh_seed() != fresh_seed()
    assert fresh_seed(None, resolve(0)) == fresh_seed(None, resolve(0))
    with pytest.raises(InputError, match="not both"):
        fresh_seed(1, resolve(0))
    with pytest.raises(InputError, match="no seed"):
        fresh_seed(None, RowNoise(0, slice(0, 2)))


def test_rows_come_evenly() -> None:
    found = even_rows(17, 5, resolve(0))
    assert sorted(found.bincount().tolist()) == [3, 3, 3, 4, 4]
    assert found[:5].sort().values.tolist() == list(range(5))
    assert even_rows(3, 0, resolve(0)).numel() == 0
