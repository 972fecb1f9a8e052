"""Posteriors of priors whose denoiser is exact, beside closed forms; and what is refused."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor, nn

import pushforward as pf
from pushforward import inverse, processes, schedules
from pushforward.analytic import AnalyticMixture
from pushforward.distributions import GaussianMixture
from pushforward.errors import CapabilityError, InputError
from pushforward.processes.path_noise import gaussian_of

SHIFT, SCALE = torch.tensor([3.0, -1.0, 0.5]), torch.tensor([2.0, 0.5, 1.5])
ROOT = torch.tensor([[1.0, 0.0, 0.0], [0.6, 0.8, 0.0], [-0.3, 0.4, 0.8]])
Z = GaussianMixture(torch.zeros(1, 3), (ROOT @ ROOT.mT)[None])
"""The data in the units of the model."""
X = GaussianMixture(SHIFT[None], (SCALE[:, None] * (ROOT @ ROOT.mT) * SCALE)[None])
"""The same in data units."""
MATRIX = torch.tensor([[1.0, -0.5, 0.3], [0.2, 0.7, -1.0]])
Y, LEVEL = torch.tensor([6.0, -1.5]), 0.8


def _mean(process: processes.Gaussian, x: Tensor, t: Tensor) -> Tensor:
    return AnalyticMixture(Z).model(process)(x, t)


class Clean(nn.Module):
    """`E[x_0 | x_t]`."""

    def __init__(self, process: processes.Gaussian) -> None:
        super().__init__()
        self.process = process

    def forward(self, x, t, c=None):
        return _mean(self.process, x, t)


class Velocity(nn.Module):
    """What flow matching learns on a path from noise."""

    def __init__(self, path: processes.Path) -> None:
        super().__init__()
        self.process = path.for_flow_matching()

    def forward(self, x, t, c=None):
        gaussian, t = gaussian_of(self.process), t.clamp(1e-3, 1 - 1e-3)
        mean = _mean(gaussian, x, t)
        k = self.process.path.ends(t)
        a, sigma = (v[:, None] for v in gaussian.schedule.values(t))
        noise = (x - a * mean) / sigma
        b, gamma, d_a, d_b = (torch.as_tensor(v)[:, None] for v in (k.b, k.gamma, k.d_a, k.d_b))
        # Both sources of noise share what is known of their sum.
        velocity = d_a * mean + d_b * noise * b / sigma
        return (
            torch.cat([velocity, noise * gamma / sigma], 1) if self.process.heads == 2 else velocity
        )


class Residual(nn.Module):
    """What a score at many levels learns."""

    def forward(self, u, t, c=None):
        sigma = (4 * t).exp()[:, None]
        r = (1 + sigma.square()).sqrt()
        z = u * r
        mean = Z.posterior_mean(z, torch.ones(len(z)), sigma[:, 0])
        return ((mean - z) / sigma.square() + z / r.square()) * sigma * r


def _in_units(model):
    """With the shift and scale of the data."""
    model.units.keep(SHIFT, SCALE, double=False)
    return model


def _diffusion(schedule: schedules.Schedule):
    process = processes.Gaussian(schedule)
    return _in_units(pf.Diffusion(Clean(process), process, "data", event_shape=(3,)))


def _flow(path: processes.Path):
    return _in_units(pf.FlowMatching(Velocity(path), path, event_shape=(3,)))


def _score():
    levels = pf.score_matching.DenoisingLevels(20.0, 0.01, 12)
    return _in_units(pf.ScoreModel(Residual(), levels, event_shape=(3,)))


PRIORS = {
    "VP": lambda: _diffusion(schedules.VP()),
    "VE": lambda: _diffusion(schedules.VE()),
    "flow": lambda: _flow(processes.Linear()),
    "noisy flow": lambda: _flow(processes.Linear(0.5)),
    "trigonometric flow": lambda: _flow(processes.Trigonometric()),
    "one-sided flow": lambda: _flow(processes.OneSided()),
    "score": _score,
}

families = pytest.mark.parametrize("make", PRIORS.values(), ids=PRIORS)


def _given(model, y=Y, **options):
    options.setdefault("operator", inverse.Matrix(MATRIX))
    return model.posterior(y, noise=LEVEL, **options)


def _errors(x: Tensor, exact: GaussianMixture) -> Tensor:
    """Differences of means and covariances from the exact ones, in standard errors."""
    n, covariance = len(x), exact.covariance
    variances = covariance.diagonal()
    means = (x.mean(0) - exact.mean) / (variances / n).sqrt()
    spread = ((covariance.square() + variances.outer(variances)) / n).sqrt()
    rows, columns = torch.triu_indices(3, 3)
    return torch.cat([means, ((x.mT.cov() - covariance) / spread)[rows, columns]])


@families
def test_draws_of_normal_data_have_the_exact_mean_and_covariance(make) -> None:
    post = _given(make(), method="mmps")
    x = post.sample(3000, seed=0, steps=100, batch_size=3000)
    exact = X.posterior(MATRIX, Y, LEVEL**2)
    assert _errors(x, exact).abs().max() < 3.5
    # The prior is another distribution.
    assert _errors(x, X).abs().max() > 20
    value, stderr = post.mean(200, seed=1, steps=50)
    assert ((value - exact.mean).abs() < 4 * stderr).all()
    assert torch.allclose(stderr, exact.covariance.diagonal().sqrt() / 200**0.5, rtol=0.3)


def test_mmps_is_the_method_of_linear_operators_and_normal_noise() -> None:
    post = _given(_diffusion(schedules.VP()))
    assert post.method == "mmps"
    assert repr(post).startswith("posterior given a measurement of shape (2,) by mmps: approximate")
    again = _given(_diffusion(schedules.VP()), method="mmps")
    assert torch.equal(post.sample(3, seed=0, steps=10), again.sample(3, seed=0, steps=10))
    assert post.exactness.level == "approximate"
    assert "exact for normal data" in str(post.exactness)
    other = _given(_diffusion(schedules.VP()), method="dps", strength=0.5)
    assert not torch.equal(other.sample(3, seed=0, steps=10), post.sample(3, seed=0, steps=10))


def test_a_draw_depends_on_seed_measurement_and_number_alone() -> None:
    model = _diffusion(schedules.VP())
    ys = torch.stack([Y, Y + 1, Y - 2])
    many = _given(model, ys)
    x = many.sample(5, seed=3, steps=8)
    assert x.shape == (5, 3, 3)
    for size in (1, 4):
        torch.testing.assert_close(many.sample(5, seed=3, steps=8, batch_size=size), x)
    torch.testing.assert_close(many.sample(2, seed=3, steps=8), x[:2])
    torch.testing.assert_close(many.sample(1, seed=3, steps=8), x[:1])
    # The first of a batch is the same as one alone; the others have noise of their own.
    torch.testing.assert_close(_given(model).sample(5, seed=3, steps=8), x[:, 0])
    torch.testing.assert_close(_given(model, ys[:2]).sample(5, seed=3, steps=8), x[:, :2])
    assert not torch.allclose(_given(model, ys[[0, 0]]).sample(5, seed=3, steps=8)[:, 1], x[:, 0])


@pytest.mark.parametrize(
    "method", ["mmps", "tmpd", "pigdm", "dps", "diffpir", "daps", "projection", "repaint"]
)
def test_draws_go_through_the_network_in_parts_of_any_size(method: str) -> None:
    model = _diffusion(schedules.VP())
    noise = "exact" if method in ("projection", "repaint") else LEVEL
    fewer = {"moves": 2, "ode_steps": 1} if method == "daps" else {}
    post = model.posterior(Y, inverse.Columns(0, 2), noise, method, **fewer)
    whole = post.sample(1024, seed=3, steps=4, batch_size=1024)
    for n, size in ((1024, 64), (64, 64), (5, 1), (1, 1)):
        part = post.sample(n, seed=3, steps=4, batch_size=size)
        torch.testing.assert_close(part, whole[:n], rtol=1e-4, atol=1e-4)


def test_likelihood_and_consistency_are_those_of_data_units() -> None:
    post = _given(_diffusion(schedules.VP()))
    x = X.sample(7, seed=0)
    wanted = torch.distributions.Normal(x @ MATRIX.mT, LEVEL).log_prob(Y).sum(1)
    torch.testing.assert_close(post.log_likelihood(x), wanted, rtol=1e-5, atol=1e-4)
    rms = ((Y - x @ MATRIX.mT) / LEVEL).square().mean(1).sqrt()
    torch.testing.assert_close(post.consistency(x), rms, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(post.measured(x), x @ MATRIX.mT, rtol=1e-5, atol=1e-5)
    both = _given(_diffusion(schedules.VP()), torch.stack([Y, Y + 1]))
    pairs = x[:6].reshape(3, 2, 3)
    torch.testing.assert_close(both.log_likelihood(pairs)[:, 0], post.log_likelihood(pairs[:, 0]))
    assert both.consistency(pairs).shape == (3, 2)
    with pytest.raises(InputError, match="draws of 2 measurements"):
        both.consistency(x[:6].reshape(2, 3, 3))


def test_draws_of_a_constraint_meet_it() -> None:
    model = _diffusion(schedules.VP())
    post = model.posterior(Y, inverse.Matrix(MATRIX), "exact")
    x = post.sample(20, seed=0, steps=20)
    torch.testing.assert_close(post.measured(x), Y.expand(20, -1), rtol=1e-4, atol=1e-4)
    assert (post.consistency(x) < 1e-5).all()
    with pytest.raises(CapabilityError, match="is not linear, and no method meets"):
        model.posterior(Y, inverse.Differentiable(lambda x: x[:, :2].sin()), "exact")


def test_of_a_selection_whole_states_may_be_given() -> None:
    model = _diffusion(schedules.VP())
    columns = inverse.Columns(0, 2)
    whole = torch.tensor([2.0, math.nan, 1.0])
    found = model.posterior(whole, columns, LEVEL).sample(2, seed=0, steps=5)
    assert torch.equal(
        found, model.posterior(whole[[0, 2]], columns, LEVEL).sample(2, seed=0, steps=5)
    )
    both = model.posterior(torch.stack([whole, whole]), columns, LEVEL)
    assert both.sample(2, seed=0, steps=5).shape == (2, 2, 3)
    mask = inverse.Mask.missing(whole)
    assert torch.equal(model.posterior(whole, mask, LEVEL).sample(2, seed=0, steps=5), found)


def test_columns_go_by_the_names_of_the_data() -> None:
    model = _diffusion(schedules.VP())
    with pytest.raises(InputError, match="the columns have no names"):
        model.posterior(Y, inverse.Columns("a", "c"), LEVEL)
    model.learned_from = {"schema": {"columns": [{"name": name} for name in "abc"]}}
    named = model.posterior(Y, inverse.Columns("c", "a"), LEVEL)
    numbered = model.posterior(Y, inverse.Columns(2, 0), LEVEL)
    assert torch.equal(named.sample(2, seed=0, steps=5), numbered.sample(2, seed=0, steps=5))
    with pytest.raises(InputError, match="there is no column 'd'"):
        model.posterior(Y, inverse.Columns("a", "d"), LEVEL)


def test_a_measurement_that_no_state_gives_is_doubted() -> None:
    model = _diffusion(schedules.VP())
    tall = inverse.Matrix(torch.tensor([[1.0, 0.0, 0.0], [1.0, 0.0, 0.0], [1.0, 0.0, 0.0]]))
    assert model.posterior(torch.tensor([3.0, 3.5, 2.6]), tall, LEVEL).doubts() == []
    split = model.posterior(torch.tensor([-1.0, 8.0, 3.0]), tall, LEVEL)
    assert ["no state gives y" in doubt for doubt in split.doubts()] == [True]
    with pytest.warns(UserWarning, match="no state gives y"):
        split.sample(1, seed=0, steps=2)


def test_a_measurement_far_from_what_the_model_expects_is_doubted() -> None:
    model = _diffusion(schedules.VP())
    usual = X.sample(200, seed=5) @ MATRIX.mT
    usual = inverse.GaussianNoise(LEVEL).sample(usual, torch.Generator().manual_seed(0))
    assert _given(model, usual).doubts() == []
    # Such as counts per hour where the data are per second.
    doubts = _given(model, torch.cat([usual[:3], 3600 * usual[:1]])).doubts()
    assert len(doubts) == 1
    assert doubts[0].startswith("1 of 4 measurements, the first of them 3, lies far outside")
    with pytest.warns(UserWarning, match="far outside what this model expects"):
        _given(model, 100 * Y).sample(1, seed=0, steps=2)


@pytest.mark.filterwarnings("error")
def test_a_guided_posterior_has_no_density_and_says_why() -> None:
    post = _given(_diffusion(schedules.VP()))
    with pytest.raises(CapabilityError, match="draws of a guided model have no density"):
        post.log_prob(X.sample(2, seed=0))
    with pytest.raises(CapabilityError, match="no estimate of log p"):
        post.log_evidence()


def test_models_without_a_denoiser_name_those_that_have_one() -> None:
    like = "a Diffusion on a Gaussian process, a FlowMatching without a source"
    moved = pf.FlowMatching(pf.nn.MLP(3, width=8), event_shape=(3,))
    moved.keep_source(torch.randn(4, 3, generator=torch.Generator().manual_seed(0)))
    others = [
        pf.VAE.for_data(
            pf.data.load(torch.randn(20, 3, generator=torch.Generator().manual_seed(0)))
        ),
        pf.ScoreModel(pf.score_matching.Untimed(pf.nn.MLP(3, width=8)), event_shape=(3,)),
        pf.FlowMatching(pf.nn.MLP(3, width=8), coupling="ot", event_shape=(3,)),
        moved,
    ]
    for model in others:
        model.known_units(torch.zeros(2, 3))
        with pytest.raises(CapabilityError, match=like):
            _given(model)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"y": torch.zeros(3)}, r"makes measurements of shape \(2,\) of states"),
        ({"y": "text"}, "a tensor of numbers"),
        ({"y": torch.tensor([math.nan, 0.0])}, "finite numbers"),
        ({"operator": "blur"}, "operator is one of pushforward.inverse"),
        ({"operator": None}, "need operator="),
        ({"operator": inverse.Downsample(2)}, "no multiple of the factor 2"),
        ({"noise": None}, "give noise="),
        ({"noise": 0.0}, "positive and finite, not 0.0"),
        ({"noise": -1.0}, "positive and finite"),
        ({"noise": "white"}, "no noise is called 'white'"),
        ({"method": "mmpss"}, "did you mean 'mmps'"),
        ({"strength": 2.0}, "MMPS has no option 'strength': it has iterations"),
    ],
)
def test_bad_input_is_named(options, message: str) -> None:
    model = _diffusion(schedules.VP())
    given = {"y": Y, "operator": inverse.Matrix(MATRIX), "noise": LEVEL} | options
    with pytest.raises(InputError, match=message):
        model.posterior(**given)


def test_methods_refuse_what_they_cannot_take_before_anything_is_drawn() -> None:
    model = _diffusion(schedules.VP())
    with pytest.raises(CapabilityError, match="needs a linear operator"):
        model.posterior(Y, inverse.Differentiable(lambda x: x[:, :2].sin()), LEVEL, "pigdm")
    with pytest.raises(CapabilityError, match="needs Gaussian noise"):
        model.posterior(Y, inverse.Matrix(MATRIX), inverse.LaplaceNoise(1.0), "tmpd")
    bent = model.posterior(Y, inverse.Differentiable(lambda x: x[:, :2].sin()), LEVEL)
    stepped = inverse.Differentiable(lambda x: x[:, :2].detach().round())
    post = model.posterior(Y, stepped, LEVEL)
    with pytest.raises(CapabilityError, match="no derivative"):
        post.sample(1, seed=0, steps=3, check=False)
    assert bent.sample(2, seed=0, steps=5, check=False).shape == (2, 3)


class Known(nn.Module):
    """`E[x_0 | x_t, c]` of `x_0 ~ N(c, 1)` for a context of the shape of a state."""

    context_size = 2

    def __init__(self, process: processes.Gaussian) -> None:
        super().__init__()
        self.process = process

    def forward(self, x, t, c=None):
        alpha, sigma = (v[:, None] for v in self.process.schedule.values(t))
        mean = torch.zeros_like(x) if c is None else c.nan_to_num()
        return mean + alpha / (alpha**2 + sigma**2) * (x - alpha * mean)


def test_the_posterior_of_a_conditional_model_is_what_it_has_learned() -> None:
    process = processes.Gaussian()
    model = pf.Diffusion(Known(process), process, "data", event_shape=(2,))
    ys = torch.tensor([[1.0, -2.0], [0.0, 3.0]])
    post, one = model.posterior(ys), model.posterior(ys[0])
    assert post.exactness.level == "learned"
    x = post.sample(500, seed=0, steps=1000)
    assert x.shape == (500, 2, 2)
    # Within three standard errors, as many steps should give them.
    assert ((x.mean(0) - ys).abs() < 3 / 500**0.5).all()
    assert ((x.var(0) - 1).abs() < 3 * (2 / 500) ** 0.5).all()
    assert float((x - ys).prod(-1).mean(0).abs().max()) < 3 / 500**0.5
    torch.testing.assert_close(one.sample(500, seed=0, steps=1000), x[:, 0])
    value = post.log_prob(x[:3]).value
    wanted = torch.distributions.Normal(ys, 1.0).log_prob(x[:3]).sum(-1)
    torch.testing.assert_close(value, wanted, rtol=0.01, atol=0.02)
    torch.testing.assert_close(one.log_prob(x[:3, 0]).value, value[:, 0], rtol=1e-4, atol=1e-4)
    for ask in (post.log_likelihood, post.consistency):
        with pytest.raises(CapabilityError, match="a model of pairs knows"):
            ask(x)
    with pytest.raises(CapabilityError, match="takes no contexts"):
        pf.Diffusion(pf.nn.MLP(2, width=8), event_shape=(2,)).posterior(ys[0])


@pytest.mark.parametrize("level", [0.3, 1.0])
def test_the_level_of_the_noise_is_found(level: float) -> None:
    process = processes.Gaussian()
    d, m = 10, 20
    prior = GaussianMixture(torch.zeros(1, d), torch.diag(torch.linspace(0.05, 1.0, d))[None])
    model = pf.Diffusion(_Exact(prior, process), process, "data", event_shape=(d,))
    matrix = torch.randn(m, d, generator=torch.Generator().manual_seed(0)) / d**0.5
    operator, noise = inverse.Matrix(matrix), torch.Generator().manual_seed(1)
    clean = operator(prior.sample(10, seed=2))
    y = inverse.GaussianNoise(level).sample(clean, noise)
    found = pf.models.estimated_level(model, y, operator, steps=30, draws=16, method=_mmps)
    assert found.converged
    assert found.exactness.level == "approximate"
    assert abs(found.value - level) < 3 * found.stderr
    assert found.stderr < 0.15 * level
    # The maximum of the likelihood that is known here.
    covariance = matrix @ prior.covariance @ matrix.mT
    levels = torch.linspace(0.5 * level, 1.6 * level, 200)
    values = torch.stack([
        torch.distributions.MultivariateNormal(
            torch.zeros(m), covariance + s**2 * torch.eye(m)
        ).log_prob(y).sum()
        for s in levels
    ])  # fmt: skip
    best = float(levels[values.argmax()])
    assert abs(found.value - best) < 0.5 * found.stderr


def test_the_level_of_the_noise_takes_what_a_posterior_takes() -> None:
    """Whole states for a mask, lists, columns by name; and refuses what does not fit."""
    process, d = processes.Gaussian(), 12
    prior = GaussianMixture(torch.zeros(1, d), torch.diag(torch.full((d,), 0.2))[None])
    model = pf.Diffusion(_Exact(prior, process), process, "data", event_shape=(d,))
    mask = inverse.Mask(torch.arange(d) > 2)
    whole = torch.randn(d, generator=torch.Generator().manual_seed(0))
    how = {"steps": 5, "draws": 4}
    same = (whole, whole.tolist(), whole[3:], whole[None, 3:], whole[None])
    found = [pf.models.estimated_level(model, y, mask, **how) for y in same]
    assert all(one.value == pytest.approx(found[0].value) for one in found)
    for y, operator, message in (
        (whole, "mask", "one of pushforward.inverse"),
        (["a"] * 12, mask, "tensor of numbers"),
        (whole[:10], mask, "makes measurements of shape"),
        (torch.ones(12), mask, "all the same"),
        (whole[3:6], inverse.Mask(torch.arange(d) < 3), "3 measured numbers do not tell"),
    ):
        with pytest.raises(InputError, match=message):
            pf.models.estimated_level(model, y, operator, **how)


def _mmps(model, process, measurement):
    """Solved exactly, by one product for each measured number."""
    return pf.guidance.MMPS(model, process, measurement, iterations=20)


class _Exact(nn.Module):
    def __init__(self, prior: GaussianMixture, process: processes.Gaussian) -> None:
        super().__init__()
        self.known = AnalyticMixture(prior).model(process)

    def forward(self, x, t, c=None):
        return self.known(x, t)


def test_twisted_draws_are_those_of_a_mixture_and_tell_the_evidence() -> None:
    process = processes.Gaussian()
    prior = GaussianMixture(torch.tensor([[-2.0, 0.0], [2.0, 0.5]]), 0.3, torch.tensor([0.3, 0.7]))
    model = pf.Diffusion(_Exact(prior, process), process, "data", event_shape=(2,))
    matrix, level, n = torch.tensor([[0.3, 1.0]]), 0.4, 2000
    ys = torch.tensor([[0.2], [1.2]])
    operator = inverse.Matrix(matrix)
    post = model.posterior(ys, operator, level, "tds", particles=n)
    x = post.sample(n, seed=0, steps=60)
    evidence = post.log_evidence()
    assert post.exactness.level == "asymptotically exact"
    for k, y in enumerate(ys):
        exact = prior.posterior(matrix, y, level**2)
        ess = float(post.particles[k].ess[-1, 0])
        share = float((x[:, k, 0] > 0).float().mean())
        truth = float(exact.weights[exact.means[:, 0] > 0].sum())
        # The weight of a mode, which guidance by itself gets wrong; its draws see a margin of both.
        assert abs(share - truth) < 4 * (truth * (1 - truth) / ess) ** 0.5 + 0.01
        wanted = prior.log_evidence(matrix, y, level**2)
        assert abs(float(evidence.value[k] - wanted)) < 2.5 * float(evidence.stderr[k])
        assert float(evidence.stderr[k]) < 0.1
    assert evidence.kind == "estimated"
    assert evidence.converged.all()
    alone = model.posterior(ys[0], operator, level, "tds", particles=n)
    torch.testing.assert_close(alone.sample(n, seed=0, steps=60), x[:, 0])
    with pytest.raises(InputError, match="MMPS has no option 'strength'"):
        model.posterior(ys, operator, level, "tds", strength=1.0)
    other = model.posterior(ys, operator, level, "tds", twist="tmpd", particles=500)
    assert other.sample(3, seed=0, steps=20).shape == (3, 2, 2)
    assert other.method == "tds with the twist tmpd"
    # Two or three steps cannot be halved, and without that there is no error.
    with pytest.raises(InputError, match="at least 4 steps, not 3"):
        other.log_evidence(steps=3)
    for twist in ("tds", "daps", "repaint"):
        with pytest.raises(InputError, match=f"guides a prediction, such as mmps, not '{twist}'"):
            model.posterior(ys, operator, level, "tds", twist=twist)
    with pytest.raises(InputError, match="exact draws are those of method='tds'"):
        model.posterior(ys, operator, level, exact=True)


def test_decoupled_annealing_draws_from_the_posterior_of_isotropic_data() -> None:
    process = processes.Gaussian()
    prior = GaussianMixture(torch.zeros(1, 2), 1.0)
    model = pf.Diffusion(_Exact(prior, process), process, "data", event_shape=(2,))
    matrix, y, level, n = torch.tensor([[1.0, 0.5]]), torch.tensor([1.5]), 0.6, 2000
    options = {"ode_steps": 1, "moves": 20}
    post = model.posterior(y, inverse.Matrix(matrix), level, "daps", **options)
    x = post.sample(n, seed=0, steps=20)
    exact = prior.posterior(matrix, y, level**2)
    error = (exact.covariance.diagonal() / n).sqrt()
    assert ((x.mean(0) - exact.mean).abs() < 4 * error).all()
    ratio = x.var(0) / exact.covariance.diagonal()
    assert ((ratio - 1).abs() < 5 * (2 / n) ** 0.5).all()
    torch.testing.assert_close(post.sample(3, seed=0, steps=20), x[:3])
    with pytest.raises(InputError, match="daps has no option 'jumps': it has ode_steps"):
        model.posterior(y, inverse.Matrix(matrix), level, "daps", jumps=3)


def test_repainted_draws_keep_what_is_known() -> None:
    model = _diffusion(schedules.VP())
    whole = torch.tensor([[2.0, math.nan, 1.0], [4.0, math.nan, 0.0]])
    post = model.posterior(whole, inverse.Columns(0, 2), "exact", "repaint", jumps=2)
    x = post.sample(4, seed=0, steps=10)
    for column in (0, 2):
        torch.testing.assert_close(x[..., column], whole[:, column].expand(4, 2))
    assert x[..., 1].std(0).min() > 0.05
    with pytest.raises(CapabilityError, match="repaint takes some numbers of the state"):
        model.posterior(Y, inverse.Matrix(MATRIX), "exact", "repaint")
    with pytest.raises(InputError, match="repaint has no option 'known'"):
        model.posterior(whole, inverse.Columns(0, 2), "exact", "repaint", known=Y)


def test_a_strength_is_one_for_all_draws() -> None:
    prior = pf.Diffusion(pf.nn.MLP(2, width=16), event_shape=(2,))
    with pytest.raises(InputError, match="strength is one number for all draws"):
        prior.posterior(
            [0.3], operator=inverse.Columns(0), noise=0.1, method="dps", strength=torch.ones(6)
        )
