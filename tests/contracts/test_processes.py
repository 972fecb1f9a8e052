"""One contract for every process: a proper loss, reproducible noise, dynamics that fit."""

from __future__ import annotations

import math

import pytest
import torch

from pushforward import processes, registry, schedules, spaces
from pushforward.analytic import (
    AnalyticCircle,
    AnalyticCounts,
    AnalyticFunctions,
    AnalyticMixture,
    AnalyticPair,
    AnalyticSphere,
    AnalyticTokens,
)
from pushforward.config import build, describe
from pushforward.distributions import GaussianMixture, VonMisesFisher, WrappedNormal
from pushforward.errors import InputError
from pushforward.protocols import Bridged, GaussianKernels, LinearFlow, follows, matching_loss
from pushforward.spaces import Sphere, Torus
from pushforward.state import rows as batch_size


def _mixture():
    problem = AnalyticMixture(GaussianMixture(torch.tensor([[1.0, -1.0], [-2.0, 0.0]]), 0.3))
    process = processes.Gaussian(schedules.VP())
    return process, problem.data.sample(4000, seed=0), problem.model(process)


def _functions():
    problem = AnalyticFunctions.on_grid(16)
    process = problem.process(schedules.Cosine())
    return process, problem.data.sample(2000, seed=0).float(), problem.model(process)


def _circle():
    problem = AnalyticCircle(WrappedNormal(0.5, 0.4))
    process = processes.Brownian(spaces.Torus())
    return process, problem.data.sample(4000, seed=0), problem.model(process)


def _circle_geodesic():
    problem = AnalyticCircle(WrappedNormal(0.5, 0.4))
    process = processes.Geodesic(spaces.Torus())
    pair = problem.data.sample(4000, seed=0), process.prior((1,)).sample(4000, seed=1)
    return process, pair, problem.geodesic_model(process)


def _sphere():
    problem = AnalyticSphere(VonMisesFisher(torch.tensor([0.0, 0.0, 1.0]), 3.0))
    process = processes.Brownian(spaces.Sphere())
    return process, problem.data.sample(4000, seed=0), problem.model(process)


def _sphere_geodesic():
    problem = AnalyticSphere(VonMisesFisher(torch.tensor([0.0, 0.0, 1.0]), 3.0))
    process = processes.Geodesic(spaces.Sphere())
    pair = problem.data.sample(1000, seed=0), process.prior((3,)).sample(1000, seed=1)
    return process, pair, problem.geodesic_model(process)


def _tokens():
    problem = AnalyticTokens.random(3, 3, seed=0)
    process = processes.Masking(spaces.Tokens(3))
    # The losses to compare differ by 0.01, with a standard error of 0.005 at 4000 draws.
    return process, problem.data.sample(40_000, seed=0), problem.model(process)


def _jumps(rates):
    def made():
        problem = AnalyticTokens.random(3, 3, seed=0)
        process = processes.Jumps(spaces.Tokens(3), rates)
        return process, problem.data.sample(40_000, seed=0), problem.model(process)

    return made


def _thinning():
    problem = AnalyticCounts.example()
    process = processes.Thinning()
    return process, problem.sample(4000, seed=0), problem.thinning_model(process)


def _jump_diffusion():
    problem = AnalyticCounts.example()
    process = processes.JumpDiffusion()
    return process, problem.sample(4000, seed=0), problem.model(process)


def _bridge():
    process = processes.Bridge(1.0)
    problem = AnalyticPair(covariance=0.3)
    return process, problem.sample(4000, seed=0), problem.model(process)


def _ou_bridge():
    process = processes.OUBridge(0.8, rate=1.5)
    problem = AnalyticPair(covariance=0.3)
    return process, problem.sample(4000, seed=0), problem.model(process)


def _product():
    first, second = _mixture(), _circle()
    process = processes.ProductProcess((first[0], second[0]))

    def model(x, t, c=None):
        return first[2](x[0], t), second[2](x[1], t)

    return process, (first[1], second[1]), model


CASES = {
    "gaussian": _mixture,
    "functions": _functions,
    "circle": _circle,
    "circle-geodesic": _circle_geodesic,
    "sphere": _sphere,
    "sphere-geodesic": _sphere_geodesic,
    "tokens": _tokens,
    "uniform-jumps": _jumps("uniform"),
    "birth-death": _jumps("birth-death"),
    "any-rates": _jumps(processes.MatrixRates([[0, 1, 0], [0, 0, 2], [1, 1, 0]])),
    "thinning": _thinning,
    "jump-diffusion": _jump_diffusion,
    "bridge": _bridge,
    "ou-bridge": _ou_bridge,
    "product": _product,
}


def _leaves(x):
    return [x] if isinstance(x, torch.Tensor) else [leaf for part in x for leaf in _leaves(part)]


def _scaled(pred, factor: float):
    """A prediction that is wrong by a factor, of any structure."""
    if isinstance(pred, torch.Tensor):
        return pred * factor
    if isinstance(pred, processes.Missing):
        # Flatter or sharper, so that each size has another chance.
        return processes.Missing((pred.counts * factor).log_softmax(-1), pred.point)
    parts = (_scaled(part, factor) for part in pred)
    return type(pred)(*parts) if hasattr(pred, "_fields") else tuple(parts)


@pytest.fixture(params=CASES, scope="module")
def case(request):
    return CASES[request.param]()


def _generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def test_noise_keeps_the_structure_and_follows_the_generator(case) -> None:
    process, z, _ = case
    t = torch.full((batch_size(z),), 0.5)
    first, second = (process.sample(z, t, _generator(7)) for _ in range(2))
    for a, b in zip(_leaves(first), _leaves(second), strict=True):
        assert torch.equal(a, b)
    assert batch_size(first) == batch_size(z)


def test_a_float_time_and_a_batch_of_times_agree(case) -> None:
    process, z, model = case
    t = 0.37
    many = torch.full((batch_size(z),), t)
    x_t = process.sample(z, t, _generator())
    for a, b in zip(_leaves(x_t), _leaves(process.sample(z, many, _generator())), strict=True):
        if a.dtype == torch.int64:
            # Of many symbols one may lie where the rounding of a time decides.
            assert float((a != b).double().mean()) < 1e-4
            continue
        assert torch.allclose(a.float(), b.float(), atol=1e-5)
    single = process.loss(model(x_t, t, None), z, x_t, t)
    batched = process.loss(model(x_t, many, None), z, x_t, many)
    assert single.shape == (batch_size(z),)
    assert torch.allclose(single.float(), batched.float(), rtol=2e-3, atol=2e-3)


def test_the_loss_is_a_proper_score(case) -> None:
    # Among the exact prediction and the same made wrong by 20 %, the exact one has the least loss.
    process, z, model = case
    for t in (0.3, 0.7):
        losses = {
            factor: float(
                matching_loss(
                    lambda x, t, c, factor=factor: _scaled(model(x, t, c), factor),
                    process,
                    z,
                    t,
                    generator=_generator(1),
                )
                .double()
                .mean()
            )
            for factor in (0.8, 1.0, 1.2)
        }
        assert losses[1.0] < losses[0.8], t
        assert losses[1.0] < losses[1.2], t


def test_a_step_of_zero_length_changes_nothing(case) -> None:
    process, z, model = case
    x_t = process.sample(z, 0.5, _generator())
    still = process.dynamics(model(x_t, 0.5, None), x_t, 0.5).advance(x_t, 0.0, 0.0, _generator())
    for a, b in zip(_leaves(x_t), _leaves(still), strict=True):
        assert torch.allclose(a.float(), b.float(), atol=1e-6)


def test_pinned_steps_compose(case) -> None:
    # With the true endpoint in the place of the prediction, the pinned kernel carries p_t(. | z)
    # to p_s(. | z) exactly: compare with sampling at s.
    process, z, _ = case
    if not isinstance(process, processes.Gaussian | processes.Masking | processes.Jumps):
        return
    truth = z
    if not isinstance(process, processes.Gaussian):
        truth = 50.0 * torch.nn.functional.one_hot(z, 3).float()
    t, s = 0.8, 0.3
    x_t = process.sample(z, t, _generator(1))
    stepped = process.bridge(truth, x_t, t, s, 1.0, _generator(2)).double()
    direct = process.sample(z, s, _generator(3)).double()
    assert stepped.mean(0).sub(direct.mean(0)).abs().max() < 0.12
    assert stepped.var(0).sub(direct.var(0)).abs().max() < 0.15
    with pytest.raises(InputError, match="towards the data"):
        process.bridge(truth, x_t, 0.3, 0.8)


@pytest.mark.parametrize(
    "name", [n for n in registry.names("processes") if n not in {"interpolant"}]
)
def test_processes_are_written_to_plain_values_and_back(name: str) -> None:
    needs = {
        "brownian": (spaces.Torus(),),
        "geodesic": (spaces.Sphere(),),
        "masking": (spaces.Tokens(4),),
        "block-masking": (spaces.Tokens(4), 2),
        "jumps": (spaces.Tokens(4),),
        "uniform-jumps": (spaces.Tokens(4),),
        "dirichlet": (spaces.Vertices(4),),
        "manifold-bridge": (spaces.Torus(),),
        "token-bridge": (spaces.Tokens(4),),
        "product": ((processes.Gaussian(), processes.Thinning()),),
    }
    process = registry.find("processes", name)(*needs.get(name, ()))
    assert describe(build(describe(process))) == describe(process)


def test_half_of_the_tokens_survive_half_of_the_clock() -> None:
    process = processes.Masking(spaces.Tokens(5))
    z = torch.zeros(2000, 10, dtype=torch.long)
    hidden = (process.sample(z, 0.25, _generator()) == 5).float().mean()
    assert float(hidden) == pytest.approx(0.25, abs=4 * math.sqrt(0.25 * 0.75 / 20_000))


def test_the_masking_loss_is_the_evidence_bound() -> None:
    # Averaged over time, the loss of the exact model is the negative log-likelihood it bounds; for
    # one site the bound is tight: the entropy of the data.
    table = torch.tensor([0.2, 0.5, 0.3])
    problem = AnalyticTokens.random(3, 1, seed=1)
    problem = type(problem)(type(problem.data)(table))
    process = processes.Masking(spaces.Tokens(3))
    z = problem.data.sample(100_000, seed=0)
    t = (torch.arange(100_000) + 0.5) / 100_000
    loss = matching_loss(problem.model(process), process, z, t, generator=_generator()).mean()
    assert float(loss) == pytest.approx(float(-(table * table.log()).sum()), abs=0.03)


@pytest.mark.parametrize("schedule", [schedules.VP(), schedules.VE(), schedules.Rectified()])
def test_full_churn_gives_the_joint_law_of_the_forward_process(schedule) -> None:
    # Noise is added bit by bit, so given the data cov(x_s, x_t) = (alpha_t / alpha_s) sigma_s^2.
    process = processes.Gaussian(schedule)
    t, s, n = 0.6, 0.35, 400_000
    z = torch.full((n, 1), 0.5, dtype=torch.float64)
    x_t = process.sample(z, t, _generator(1))
    now, then = schedule.at(t), schedule.at(s)
    exact = now.alpha / then.alpha * then.sigma**2
    for churn, kept in ((1.0, exact), (0.0, now.sigma * then.sigma)):
        x_s = process.bridge(z, x_t, t, s, churn, _generator(2))
        found = ((x_s - then.alpha * z) * (x_t - now.alpha * z)).mean()
        error = 4.5 * math.sqrt(2 / n) * now.sigma * then.sigma
        assert float(found) == pytest.approx(kept, abs=error), churn


def test_what_a_process_can_do_is_asked_once_for_each_type(case) -> None:
    process = case[0]
    for protocol in (Bridged, LinearFlow, GaussianKernels):
        for _ in range(2):
            assert follows(process, protocol) == isinstance(process, protocol)
    asked = []

    class Counted(type(GaussianKernels)):
        def __instancecheck__(cls, instance: object) -> bool:
            asked.append(instance)
            return True

    class Anything(metaclass=Counted):
        pass

    assert all(follows(process, Anything) for _ in range(3))
    assert len(asked) == 1


def test_weights_of_factors_multiply_their_losses() -> None:
    parts = processes.Brownian(Torus()), processes.Brownian(Sphere())
    generator = torch.Generator().manual_seed(0)
    x = Torus().uniform(5, (1,), generator), Sphere().uniform(5, (3,), generator)
    pred = torch.ones(5, 1), Sphere().project(x[1], torch.ones(5, 3))
    plain, heavy = (processes.ProductProcess(parts, w) for w in (None, (2.0, 0.5)))
    own = [p.loss(q, z, z, 0.5) for p, q, z in zip(parts, pred, x, strict=True)]
    assert torch.allclose(plain.loss(pred, x, x, 0.5), own[0] + own[1])
    assert torch.allclose(heavy.loss(pred, x, x, 0.5), 2 * own[0] + 0.5 * own[1])
    with pytest.raises(InputError, match="weights"):
        processes.ProductProcess(parts, (1.0,))
