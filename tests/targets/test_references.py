"""Built-in targets: their densities, their exact draws, and what their references say."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
import torch

from pushforward import mcmc, registry, targets
from pushforward.errors import InputError
from pushforward.targets import hierarchical, toys
from pushforward.targets.data_files import constants_of, numbers_of

EXACT = {
    "funnel": targets.funnel(4),
    "funnel-1": targets.funnel(4, 1.0),
    "banana": targets.banana(3),
    "student": targets.student(3, 9.0),
    "mixture-40": targets.mixture_of_40(),
    "many-well": targets.many_well(2),
    "multi-well": targets.multi_well(3, 2, 3.0),
}


@pytest.mark.parametrize("name", EXACT)
def test_exact_draws_obey_stein(name: str) -> None:
    """`E s = 0` and `E (x_i s_j) = -1[i = j]` for the gradient `s`, within five errors."""
    target = EXACT[name]
    n = 40_000
    x = target.sample(n, seed=1)
    score = mcmc.evaluate(target, x).gradient
    products = torch.einsum("ni,nj->nij", x, score).flatten(1)
    values = torch.cat([score, products + torch.eye(x.shape[1]).double().flatten()], 1)
    error = values.std(0) / n**0.5
    assert (values.mean(0).abs() < 5 * error).all()


@pytest.mark.parametrize("name", EXACT)
def test_moments_are_those_of_exact_draws(name: str) -> None:
    target, n = EXACT[name], 40_000
    x = target.sample(n, seed=2)
    known = target.reference
    assert ((x.mean(0) - known.mean).abs() < 5 * x.std(0) / n**0.5).all()
    square = (x - known.mean).square()
    bound = 5 * square.std(0) / n**0.5
    if name == "funnel":
        # The fourth moment of the funnel is exp(18) times that of a normal law.
        square, bound = square[:, :1], bound[:1]
    assert ((square.mean(0) - known.std[: square.shape[1]].square()).abs() < bound).all()


@pytest.mark.parametrize(
    ("target", "reach"),
    [
        (targets.funnel(2, 1.0), 30.0),
        (targets.banana(2, 2.0, 0.2), 25.0),
        (targets.student(1, 5.0), 400.0),
        (targets.mixture_of_40(), 50.0),
        (targets.many_well(1), 9.0),
        (targets.multi_well(2, 1, 2.0), 9.0),
    ],
    ids=lambda value: getattr(value, "name", ""),
)
def test_log_z_is_that_of_quadrature(target, reach: float) -> None:
    dim = target.event_shape[0]
    points = 401 if "mixture" in target.name else 1201
    axis = torch.linspace(-reach, reach, points, dtype=torch.float64)
    x = torch.cartesian_prod(*[axis] * dim).reshape(-1, dim)
    width = float(axis[1] - axis[0])
    found = torch.cat([target(part) for part in x.split(200_000)]).logsumexp(0)
    assert abs(float(found) + dim * math.log(width) - target.reference.log_z) < 2e-3


def test_published_constants() -> None:
    assert round(targets.many_well().reference.log_z, 5) == 164.69568
    assert round(targets.multi_well(5, 5, 4.0).reference.log_z, 6) == -0.541056
    assert round(targets.multi_well(50, 5, 2.0).reference.log_z, 5) == 42.81724
    assert round(targets.brownian().reference.log_z, 5) == 1.18775


def test_eight_schools_by_quadrature_of_two_scales() -> None:
    """The effects alone integrated out; the reference integrates the mean as well."""
    y = torch.tensor(hierarchical._EFFECTS).double()
    errors = torch.tensor(hierarchical._ERRORS).double()
    mean = torch.linspace(-80, 90, 1201, dtype=torch.float64)
    log_scale = torch.linspace(-5, 12, 601, dtype=torch.float64)
    m, t = (part.flatten() for part in torch.meshgrid(mean, log_scale, indexing="ij"))
    law = torch.distributions.Normal
    spread = (errors.square() + (2 * t).exp()[:, None]).sqrt()
    logs = law(m[:, None], spread).log_prob(y).sum(1)
    logs = logs + law(0.0, 10.0).log_prob(m) + law(5.0, 1.0).log_prob(t)
    cell = float(mean[1] - mean[0]) * float(log_scale[1] - log_scale[0])
    known = targets.eight_schools().reference
    assert abs(float(logs.logsumexp(0)) + math.log(cell) - known.log_z) < 1e-6
    weights = logs.softmax(0)
    assert abs(float(weights @ m) - float(known.mean[0])) < 1e-5
    assert abs(float(weights @ t) - float(known.mean[1])) < 1e-5
    gain = (2 * t).exp()[:, None] / ((2 * t).exp()[:, None] + errors.square())
    effects = weights @ (gain * y + (1 - gain) * m[:, None])
    assert torch.allclose(effects, known.mean[2:], atol=1e-5)


def test_both_forms_of_eight_schools_are_one_model() -> None:
    """`log p(effects) |d effects / d shocks| = log p(shocks)`."""
    x = targets.eight_schools().start(20, seed=0)
    shocks = x.clone()
    shocks[:, 2:] = (x[:, 2:] - x[:, :1]) * (-x[:, 1:2]).exp()
    free, bound = targets.eight_schools(centered=False), targets.eight_schools()
    assert torch.allclose(free(shocks), bound(x) + 8 * x[:, 1])


def test_brownian_given_its_scales_is_normal() -> None:
    """The density of path and data is that of the data times a normal law of the path."""
    target = targets.brownian()
    scales = torch.tensor([0.12, 0.1]).double()
    times = torch.tensor([*range(10), *range(20, 30)])
    path = torch.distributions.MultivariateNormal
    steps = torch.arange(1, 31).double()
    prior = scales[0] ** 2 * torch.minimum(steps[:, None], steps)
    y = torch.tensor(hierarchical._OBSERVED).double()
    noise = torch.randn(3, 30, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    x = noise @ torch.linalg.cholesky(prior).mT
    expected = path(torch.zeros(30).double(), prior).log_prob(x)
    expected = expected + torch.distributions.Normal(x[:, times], scales[1]).log_prob(y).sum(1)
    logs = torch.distributions.LogNormal(0.0, 2.0).log_prob(scales).sum()
    state = torch.cat([scales.expand(3, 2), x], 1)
    assert torch.allclose(target.log_prob(state), expected + logs)


def test_seeds_is_the_model_that_is_stated() -> None:
    law = torch.distributions
    x = targets.seeds().constrain(targets.seeds().start(3, seed=0))
    r, n, a, b = (
        torch.tensor(v).double()
        for v in (
            hierarchical._GERMINATED,
            hierarchical._SEEDS,
            hierarchical._VARIETY,
            hierarchical._EXTRACT,
        )
    )
    for row in x:
        logit = row[1] + row[2] * a + row[3] * b + row[4] * a * b + row[5:]
        expected = (
            law.Gamma(0.01, 0.01).log_prob(row[0])
            + law.Normal(0.0, 10.0).log_prob(row[1:5]).sum()
            + law.Normal(0.0, row[0].rsqrt()).log_prob(row[5:]).sum()
            + law.Binomial(n, logits=logit).log_prob(r).sum()
        )
        assert torch.allclose(targets.seeds().log_prob(row[None])[0], expected)


def _prices(folder: Path, count: int = 40) -> Path:
    draws = torch.randn(count, generator=torch.Generator().manual_seed(0)).cumsum(0) + 100
    numbers = ", ".join(f"{x:.4f}" for x in draws.tolist())
    text = (
        f"import numpy as np\n\nCLOSING_PRICES = np.array([\n{numbers}\n]).reshape(({count},))\n"
        "raise SystemExit('this file is read, not run')\n"
    )
    (folder / "sp500_closing_prices.py").write_text(text)
    return folder


def test_volatility_is_the_model_that_is_stated(tmp_path: Path) -> None:
    law = torch.distributions
    target = targets.stochastic_volatility(_prices(tmp_path), 13)
    prices = constants_of(tmp_path / "sp500_closing_prices.py")["CLOSING_PRICES"]
    returns = prices.diff()[-13:]
    returns = returns - returns.mean()
    z = target.start(3, seed=0)
    x = target.constrain(z)
    target.check(z)
    h = targets.log_volatility(x)
    for row, own in zip(x, h, strict=True):
        r, m, s = row[:3]
        level = s * row[3] / (1 - r**2).sqrt()
        expected = [level]
        for shock in row[4:]:
            level = r * level + s * shock
            expected.append(level)
        assert torch.allclose(own, m + torch.stack(expected))
        prior = law.Beta(20.0, 1.5).log_prob((r + 1) / 2) - math.log(2)
        prior = prior + law.Cauchy(0.0, 5.0).log_prob(m) + law.HalfCauchy(2.0).log_prob(s)
        shocks = law.Normal(0.0, 1.0).log_prob(row[3:]).sum()
        fit = law.Normal(0.0, (own / 2).exp()).log_prob(returns).sum()
        assert torch.allclose(target.log_prob(row[None])[0], prior.double() + shocks + fit)


def test_energies_of_particles_do_not_change_under_rotations() -> None:
    for target, n, d in ((targets.double_well_4(), 4, 2), (targets.lennard_jones_13(), 13, 3)):
        x = target.sample(5, seed=0) if target.exact else target.start(5, seed=0)
        noise = torch.Generator().manual_seed(1)
        turn, _ = torch.linalg.qr(torch.randn(d, d, generator=noise, dtype=torch.float64))
        particles = x.unflatten(1, (n, d))
        order = torch.randperm(n, generator=noise)
        assert torch.allclose(target((particles @ turn).flatten(1)), target(x))
        assert torch.allclose(target(particles[:, order].flatten(1)), target(x))


def test_energies_of_few_particles_by_hand() -> None:
    """A square of side `d0`, and two particles at the bottom of their well."""
    side = torch.tensor([[0.0, 0.0], [4.0, 0.0], [4.0, 4.0], [0.0, 4.0]]).double()
    square = (side - side.mean(0)).flatten()[None]
    gap = 4 * math.sqrt(2) - 4
    expected = -2 * (-4 * gap**2 + 0.9 * gap**4)
    assert abs(float(targets.double_well_4()(square)) - expected) < 1e-9
    # All far apart, but for one pair at the distance of the minimum: its energy is minus one.
    far = 1e4 * torch.randn(13, 3, generator=torch.Generator().manual_seed(0)).double()
    near = far.clone()
    near[1] = near[0] + torch.tensor([1.0, 0.0, 0.0])
    pair = targets.lennard_jones_13(trap=1e-12)
    center = 0.5 * 13 * near.mean(0).square().sum()
    assert abs(float(pair(near.flatten()[None])) + float(center) - 1) < 0.02


def test_the_means_of_the_mixture_are_checked(monkeypatch) -> None:
    monkeypatch.setitem(toys._MEANS, 2, "deadbeef")
    with pytest.raises(InputError, match="their hash is 5a2a3a15, not deadbeef"):
        targets.mixture_of_40()


def test_regressions_read_files_of_both_kinds(tmp_path: Path) -> None:
    """The label first as -1 and 1, or last as a letter: the same posterior."""
    generator = torch.Generator().manual_seed(0)
    x = torch.rand(30, 4, generator=generator).round(decimals=4)
    y = torch.rand(30, generator=generator) < 0.5
    first = [
        ",".join(map(str, [1 if b else -1, *row]))
        for row, b in zip(x.tolist(), y.tolist(), strict=True)
    ]
    last = [
        ",".join(map(str, [*row, "g" if b else "b"]))
        for row, b in zip(x.tolist(), y.tolist(), strict=True)
    ]
    (tmp_path / "ionosphere.csv").write_text("# y,x\n" + "\n".join(first) + "\n")
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "ionosphere.data").write_text("\n".join(last) + "\n")
    w = torch.randn(3, 5, generator=generator, dtype=torch.float64)
    one, two = targets.ionosphere(tmp_path), targets.ionosphere(tmp_path / "other")
    assert torch.allclose(one(w), two(w))
    scaled = (x.double() - x.double().mean(0)) / x.double().std(0, unbiased=False)
    design = torch.cat([torch.ones(30, 1).double(), scaled], 1)
    bernoulli = torch.distributions.Bernoulli(logits=w @ design.mT)
    expected = bernoulli.log_prob(y.double()).sum(1)
    expected = expected + torch.distributions.Normal(0.0, 1.0).log_prob(w).sum(1)
    assert torch.allclose(one(w), expected)


def test_cells_of_points_are_counted(tmp_path: Path) -> None:
    """The likelihood of a field that is constant, and points on the edges."""
    places = torch.rand(126, 2, generator=torch.Generator().manual_seed(0))
    places[0], places[1] = torch.tensor([1.0, 1.0]), torch.tensor([0.0, 1.0])
    (tmp_path / "pines_126.csv").write_text("\n".join(f"{a:.6f},{b:.6f}" for a, b in places))
    target = targets.cox_process(tmp_path, side=5)
    at_mean = torch.zeros(1, 25).double()
    mean = math.log(126) - 1.91 / 2
    expected = 126 * mean - math.exp(mean) - 0.5 * 25 * math.log(2 * math.pi)
    assert abs(float(target(at_mean)) - expected) < 1e-9
    assert target.reference.log_z is None
    # The gradient at the mean field is L^T (counts - area e^m).
    score = mcmc.evaluate(target, at_mean).gradient[0]
    axis = torch.arange(5).double() / 5
    grid = torch.cartesian_prod(axis, axis)
    factor = torch.linalg.cholesky(1.91 * (-33 * torch.cdist(grid, grid)).exp())
    counts = torch.linalg.solve(factor.mT, score) + math.exp(mean) / 25
    assert torch.allclose(counts, counts.round(), atol=1e-8)
    assert int(counts.round().sum()) == 126
    last = (places * 5).long().clamp(max=4) == 4
    assert int(counts.round()[24]) == int(last.all(1).sum()) >= 1


def test_missing_data_are_asked_for(tmp_path: Path) -> None:
    for name, file in (
        ("sonar", r"sonar\.csv or sonar\.all-data.*UCI"),
        ("credit", r"german\.data-numeric.*Statlog"),
        ("lgcp-126", r"pines_126\.csv or finpines\.csv.*spatstat"),
        ("stochastic-volatility", r"sp500_closing_prices\.py.*inference-gym"),
    ):
        with pytest.raises(InputError, match=f"does not hold it: put {file}"):
            registry.find("targets", name)(data=tmp_path)
    with pytest.raises(InputError, match=r"no folder of data was given \(data=\)"):
        targets.sonar()


def test_tables_that_are_none_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "table.csv"
    path.write_text("1,2\n3,x\n")
    with pytest.raises(InputError, match="no numbers in line 2"):
        numbers_of(path)
    path.write_text("1,2\n3\n")
    with pytest.raises(InputError, match="rows of one length"):
        numbers_of(path)
    path.write_text("x = 5\n")
    with pytest.raises(InputError, match="no arrays"):
        constants_of(path)
    (tmp_path / "pines_126.csv").write_text("0.1,0.2\n")
    with pytest.raises(InputError, match=r"126 rows of two numbers in \[0, 1\], not \(1, 2\)"):
        targets.cox_process(tmp_path)


def test_priors_that_are_none_are_refused() -> None:
    with pytest.raises(InputError, match="separable"):
        targets.cancer(prior=None)
    with pytest.raises(InputError, match="0 or 1"):
        targets.logistic_regression(torch.zeros(2, 1), torch.tensor([1.0, 2.0]))
    with pytest.raises(InputError, match="126 or 127"):
        targets.cox_process(points=128)
    with pytest.raises(InputError, match="above 2"):
        targets.student(2, 2.0)


def test_centered_columns_are_another_target_where_there_is_a_prior(tmp_path: Path) -> None:
    """A shift of columns moves the intercept: without a prior the integral stays."""
    generator = torch.Generator().manual_seed(0)
    rows = [
        [*torch.randint(1, 5, (24,), generator=generator).tolist(), k % 2 + 1] for k in range(30)
    ]
    (tmp_path / "german.data-numeric").write_text("\n".join(" ".join(map(str, r)) for r in rows))
    table = torch.tensor(rows).double()
    x, y = table[:, :-1], table[:, -1] - 1
    w = torch.randn(3, 25, generator=generator, dtype=torch.float64)
    plain = targets.logistic_regression(x, y, 10.0, centered=False)
    assert torch.allclose(targets.credit(tmp_path)(w), plain(w))
    assert not torch.allclose(targets.credit(tmp_path, centered=True)(w), plain(w))
    # By quadrature of three weights.
    found = {}
    for prior in (None, 1.0):
        for centered in (True, False):
            target = targets.logistic_regression(x[:, :2], y, prior, centered=centered)
            axis = torch.linspace(-14, 14, 65, dtype=torch.float64)
            z = target(torch.cartesian_prod(axis, axis, axis)).logsumexp(0)
            found[prior, centered] = float(z) + 3 * math.log(28 / 64)
    assert abs(found[None, True] - found[None, False]) < 1e-3
    assert abs(found[1.0, True] - found[1.0, False]) > 0.05
