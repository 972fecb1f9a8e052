"""Schrödinger bridges with contexts: closed forms in each context, and rows that keep theirs."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

import pushforward as pf
from pushforward.analytic import AnalyticPair
from pushforward.errors import CapabilityError, InputError
from pushforward.models import RegressedSource, UpsampledSource, directions, recondition
from pushforward.models.marginal_errors import MarginalErrors
from pushforward.ot import ipf_gaussian
from pushforward.processes import Bridge, OUBridge
from pushforward.schrodinger import CouplingCache, HalfBridge, OuterIterations

SETTINGS: dict[str, Any] = {"holdout": 0.0, "progress": False, "warmup": 0}


class Exact(nn.Module):
    """The control of the bridge from N(0, 1) to N(2 c, 1), whose plan is that of no shift."""

    context_size = 1

    def __init__(self, forward: bool) -> None:
        super().__init__()
        self.towards = forward
        self.base = AnalyticPair.schrodinger(1.0).model(Bridge(1.0))

    def forward(self, x: Tensor, t: Tensor, c: Tensor | None = None) -> Tensor:
        assert c is not None
        shift, t = 2 * c, t.clamp(1e-5, 1 - 1e-5)
        end = self.base(x - (1 - t[:, None]) * shift, t)[int(not self.towards)]
        remaining = t if self.towards else 1 - t
        return (end + shift * self.towards - x) / remaining[:, None]


def _exact() -> pf.SchrodingerBridge:
    """With the variance of its ends, so that few steps are exact."""
    model = pf.SchrodingerBridge(Exact(True), Exact(False), Bridge(1.0), event_shape=1)
    cross = AnalyticPair.schrodinger(1.0).covariance
    for k in range(33):
        r = min(max(k / 32, 1e-5), 1 - 1e-5)
        variance = (1 - r) ** 2 + r**2 + 2 * r * (1 - r) * cross + r * (1 - r)
        model.loop.variance_ratios[:, k] = (1 - (1 - r + r * cross) ** 2 / variance) / r
    return model


N = 20_000
ERROR = 4 / math.sqrt(N)


def test_each_row_goes_to_the_target_of_its_context() -> None:
    model, cross = _exact(), AnalyticPair.schrodinger(1.0).covariance
    c = torch.tensor([-1.0, 0.5]).repeat(N)[:, None]
    z = torch.randn(2 * N, 1, generator=torch.Generator().manual_seed(0))
    there = model.forward(z, c, steps=3, seed=1)
    drawn = model.sample(2 * N, c, steps=3, seed=2)
    back = model.backward(there, c, steps=3, seed=3)
    for k, context in enumerate((-1.0, 0.5)):
        own = slice(k, None, 2)
        for x in (there[own], drawn[own]):
            assert float(x.mean()) == pytest.approx(2 * context, abs=ERROR)
            assert float(x.var()) == pytest.approx(1.0, abs=2 * ERROR)
        assert float(back[own].mean()) == pytest.approx(0.0, abs=ERROR)
        for start, end in ((z[own], there[own]), (there[own], back[own])):
            covariance = float(((start - start.mean()) * (end - end.mean())).mean())
            assert covariance == pytest.approx(cross, abs=2 * ERROR)


def test_states_of_other_contexts_are_carried_into_one() -> None:
    model = _exact()
    g = torch.Generator().manual_seed(0)
    c = torch.randn(N, 1, generator=g)
    x = 2 * c + torch.randn(N, 1, generator=g)
    carried = recondition(model, x, c, [0.7], steps=3, seed=0)
    assert float(carried.mean()) == pytest.approx(1.4, abs=ERROR)
    assert float(carried.var()) == pytest.approx(1.0, abs=2 * ERROR)
    # The flow only shifts here: what a state would have been in the other context.
    moved = recondition(model, x[:50], c[:50], [0.7], sampler="heun", steps=20)
    assert torch.allclose(moved, x[:50] + 2 * (0.7 - c[:50]), atol=1e-3)


def test_the_batch_never_changes_a_draw_in_its_context(monkeypatch: pytest.MonkeyPatch) -> None:
    model = _trained(OuterIterations(2, 3))
    c = torch.linspace(-1, 1, 23)[:, None]
    whole = model.sample(23, c, seed=4)
    for cut in ({"batch_size": 5}, {"rows": slice(8, 17)}):
        rows = cut.get("rows", slice(None))
        assert torch.allclose(model.sample(23, c, seed=4, **cut), whole[rows], atol=1e-5)
    for sampler in (None, "heun", "sde"):
        x = model.forward(whole, c, sampler=sampler, seed=5)
        alone = model.forward(whole[:6], c[:6], sampler=sampler, seed=5)
        assert torch.allclose(x[:6], alone, atol=1e-5)
    monkeypatch.setattr(directions, "NUMBERS_AT_ONCE", 4)
    assert torch.allclose(model.sample(23, c, seed=4), whole, atol=1e-5)


def _pairs(n: int, seed: int = 3) -> pf.data.Data:
    """`c ~ N(0, 1)` and `x | c ~ N(0.8 c, 0.36)`, so that `x ~ N(0, 1)`."""
    c, noise = torch.randn(2, n, 1, generator=torch.Generator().manual_seed(seed))
    return pf.data.Data(0.8 * c + 0.6 * noise, c=c)


def _model(iterations: OuterIterations, width: int = 16, **options: Any) -> pf.SchrodingerBridge:
    torch.manual_seed(0)
    nets = [pf.nn.AffineSkip(pf.nn.MLP(1, width, 1, context=1)) for _ in range(2)]
    return pf.SchrodingerBridge(*nets, iterations=iterations, **options)


def _trained(iterations: OuterIterations, **options: Any) -> pf.SchrodingerBridge:
    model = _model(iterations, steps=3, **options)
    steps = iterations.total_steps
    return pf.fit(model, _pairs(60), steps=steps, batch_size=8, lr=1e-2, **SETTINGS).model


AT = (-1.0, 0.0, 1.5)


class Watched(pf.SchrodingerBridge):
    """A bridge whose draws are noted at the end of each outer iteration."""

    found: list[list[tuple[float, float]]]

    def note(self) -> None:
        draws = [self.sample(N, [c], seed=9).flatten() for c in AT]
        self.found.append([(float(x.mean()), float(x.std())) for x in draws])

    def on_step(self, step: int, source: Any, target: Tensor, c: Any = None) -> None:
        super().on_step(step, source, target, c)
        if step > 0 and step == self.iterations.at(step).start:
            self.note()


@pytest.mark.slow
def test_iterations_are_those_of_proportional_fitting_in_each_context() -> None:
    # Forward first, over Brownian motion from the data: the first outer iteration is a conditional
    # diffusion that starts from the wrong noise, the third one has taken that in.
    torch.manual_seed(0)
    nets = [pf.nn.AffineSkip(pf.nn.MLP(1, 32, 1, context=1, frequencies=0)) for _ in range(2)]
    rounds = OuterIterations(3, 200, first="forward")
    model = Watched(*nets, Bridge(1.0), "dsbm-ipf", rounds, steps=10, ema=0.98)
    model.found = []
    pf.fit(model, _pairs(10_000), steps=rounds.total_steps, lr=3e-3, batch_size=256,
           schedule="constant", ema=0.98, standardize=False, **SETTINGS)  # fmt: skip
    model.note()
    errors = []
    for found, fits in ((model.found[0], 1), (model.found[2], 3)):
        for (mean, std), c in zip(found, AT, strict=True):
            target = torch.tensor([0.8 * c]), torch.tensor([[0.36]])
            source = torch.zeros(1), torch.eye(1)
            law = ipf_gaussian(
                torch.tensor([0.8 * c, 0.8 * c]), torch.tensor([[0.36, 0.36], [0.36, 1.36]]),
                (target, source), fits,
            )  # fmt: skip
            assert law.mean is not None
            assert mean == pytest.approx(float(law.mean[0]), abs=0.05)
            assert std == pytest.approx(float(law.joint[0, 0]) ** 0.5, abs=0.05)
        errors.append([abs(mean - 0.8 * c) for (mean, _), c in zip(found, AT, strict=True)])
    # In closed form the error in the outermost context falls to 0.22 of what it was; what the
    # errors of networks above leave of that is less than a half.
    assert errors[1][2] < errors[0][2] / 2


def test_both_ends_of_a_coupling_share_a_context() -> None:
    c = torch.linspace(-1, 1, 200)[:, None]
    data = pf.data.Data(3 * c + 1, c=c)
    for options in ({"start": RegressedSource(1)}, {"label_dropout": 0.25}):
        model = _model(OuterIterations(2, 3), steps=3, **options)
        pf.fit(model, data, steps=1, batch_size=8, **SETTINGS)
        held = model.loop.simulated
        assert held is not None
        assert held.context is not None
        shown = ~held.context.isnan().any(1)
        hidden = 1 - float(shown.float().mean())
        assert hidden == pytest.approx(options.get("label_dropout", 0.0), abs=0.02)
        given = model.condition.as_given(held.context)
        # Independent ends, and yet of one context: target and source both are 3 c + 1.
        for end in held.couplings[: 2 if "start" in options else 1]:
            there = model.outward(end)[shown]
            assert torch.allclose(there, 3 * given[shown] + 1, atol=1e-2)


@pytest.mark.parametrize(("start", "stop"), [(False, 7), (True, 10)])
def test_a_stopped_run_goes_on_in_the_same_contexts(start: bool, stop: int, tmp_path: Path) -> None:
    options = {"reference": OUBridge(1.0), "method": "dsb" if start else "dsbm-imf", "steps": 3,
               "cache": CouplingCache(refresh_every=3, rows=40),
               "label_dropout": 0.0 if start else 0.2}  # fmt: skip
    settings = SETTINGS | {"schedule": "constant", "batch_size": 8, "holdout": 0.2}
    rounds = OuterIterations(3, 10, first="forward" if start else "backward")

    def model() -> pf.SchrodingerBridge:
        return _model(rounds, start=RegressedSource(2) if start else None, **options)

    whole, again, data = model(), model(), _pairs(60)
    pf.fit(whole, data, steps=14, out=tmp_path / "a", **settings)
    pf.fit(model(), data, steps=stop, out=tmp_path / "b", **settings)
    pf.fit(again, data, steps=14, out=tmp_path / "b", resume=True, **settings)
    for name, value in whole.state_dict().items():
        assert torch.equal(value, again.state_dict()[name]), name
    saved = pf.load(tmp_path / "b")
    assert torch.equal(saved.sample(5, [0.3], seed=0), again.sample(5, [0.3], seed=0))
    # Contexts that training hid now and then need not be told.
    if not start:
        assert saved.sample(5, seed=0).shape == (5, 1)


def test_a_source_is_regressed_on_contexts_of_unequal_noise() -> None:
    g = torch.Generator().manual_seed(0)
    c, noise = torch.randn(2, 40_000, 2, generator=g)
    mean = torch.stack([c[:, 0] * c[:, 1] - 1, 2 + 0 * c[:, 0]], 1)
    log_std = torch.stack([0.3 * c[:, 0] - 0.5, 0.1 * c[:, 1] ** 2], 1)
    source = RegressedSource(degree=2)
    source.fit(mean + log_std.exp() * noise, c)
    found, std = source(c[:500])
    # Inside, where the standard error is at most 0.033.
    inner = c[:500].abs().amax(1) < 2
    assert torch.allclose(found[inner], mean[:500][inner], atol=0.1)
    assert torch.allclose(std.log()[inner], log_std[:500][inner], atol=0.05)
    # Far from all data a variance stays what it was at their edge.
    far = source(torch.full((1, 2), 100.0))[1]
    assert float(far.max()) <= float(source(c)[1].max()) * 1.001


def test_a_bridge_starts_from_the_source_of_its_context() -> None:
    # Controls are zero before training: paths are the reference from N(m(c), s(c)^2).
    g = torch.Generator().manual_seed(1)
    c, noise = torch.randn(2, 5000, 1, generator=g)
    x = 50 + 20 * (c + 0.5 * noise)
    model = _model(OuterIterations(2, 1), start=RegressedSource(1), reference=Bridge(0.3))
    pf.fit(model, pf.data.Data(x, c=c), steps=1, batch_size=8, lr=1e-12, **SETTINGS)
    assert model.capabilities.log_prob == "none"
    unit = float(x.std())
    for at in (-1.0, 2.0):
        drawn = model.sample(N, [at], seed=0)
        spread = math.sqrt(10**2 + (0.3 * unit) ** 2)
        assert float(drawn.mean()) == pytest.approx(50 + 20 * at, abs=ERROR * spread + 0.5)
        assert float(drawn.std()) == pytest.approx(spread, rel=0.03)
    back = model.backward(x, c, seed=1)
    # There and back in data units, not in those of a noise.
    assert float((back - x).std()) == pytest.approx(0.3 * unit, rel=0.05)
    again = model.forward(back, c, seed=2)
    assert float((again - x).std()) == pytest.approx(0.3 * unit * 2**0.5, rel=0.05)
    with pytest.raises(CapabilityError, match="whose density is not known"):
        model.log_prob(x[:3], c[:3])


def test_marginal_errors_see_states_in_wrong_contexts() -> None:
    c, noise = torch.randn(2, 3000, 1, generator=torch.Generator().manual_seed(0))
    x = c + 0.1 * noise
    shuffled = x[torch.randperm(3000, generator=torch.Generator().manual_seed(1))]
    errors = MarginalErrors(OuterIterations(3, 1, first="forward"))
    for k, (ends, context) in enumerate([(x, c), (shuffled, c), (shuffled, None)]):
        errors.measure(HalfBridge(k, k != 1, 0), ends, x, context, None)
    right, wrong, untold = errors.found()
    assert right.value < 2 * right.floor
    assert untold.value < 3 * untold.floor
    assert wrong.value > 3 * wrong.floor
    assert [e.end for e in errors.found()] == ["source", "target", "source"]


def test_labels_are_contexts_too() -> None:
    g = torch.Generator().manual_seed(0)
    c = torch.arange(3).repeat(100)
    x = 10.0 * c[:, None] + torch.randn(300, 2, generator=g)
    nets = [pf.nn.AffineSkip(pf.nn.MLP(2, 16, 1, num_classes=3)) for _ in range(2)]
    model = pf.SchrodingerBridge(*nets, iterations=OuterIterations(2, 150), steps=5)
    pf.fit(model, pf.data.Data(x, c=c), steps=300, batch_size=64, lr=1e-2, **SETTINGS)
    for label in range(3):
        found = model.sample(200, label, seed=0).mean(0)
        assert torch.allclose(found, torch.full((2,), 10.0 * label), atol=2.0)


def test_a_model_for_data_is_told_their_contexts() -> None:
    data = _pairs(30)
    model = pf.SchrodingerBridge.for_data(data, iterations=2, train_steps=4)
    assert model.context_size == 1
    pf.fit(model, data, steps=4, batch_size=8, **SETTINGS)
    assert model.sample(3, [0.0], seed=0).shape == (3, 1)
    assert pf.SchrodingerBridge.for_data(data, shared=True).context_size is None
    assert pf.SchrodingerBridge.for_data(data, labels=False).context_size is None


def test_a_low_picture_is_made_large_with_noise() -> None:
    low = torch.rand(4000, 8, generator=torch.Generator().manual_seed(0))
    drawn = UpsampledSource((2, 2, 2), 3, 0.1).sample(low, torch.Generator().manual_seed(1))
    assert drawn.shape == (4000, 2, 6, 6)
    assert torch.allclose(
        nn.functional.avg_pool2d(drawn, 3).flatten(1).mean(0), low.mean(0), atol=0.005
    )
    assert float((drawn[..., 1, 2] - low.reshape(-1, 2, 2, 2)[..., 0, 0]).std()) == pytest.approx(
        0.1, rel=0.05
    )


def test_mistakes_are_named() -> None:
    model = _exact()
    with pytest.raises(CapabilityError, match="never trained without contexts"):
        model.sample(3)
    with pytest.raises(InputError, match=r"a context has shape \(1,\)"):
        model.sample(3, torch.zeros(2, 1))
    with pytest.raises(InputError, match="two networks that are told contexts"):
        pf.SchrodingerBridge(pf.nn.MLP(1), pf.nn.MLP(1), start=RegressedSource())
    with pytest.raises(InputError, match="or give a second network"):
        pf.SchrodingerBridge(pf.nn.MLP(1, context=1))
    with pytest.raises(InputError, match="networks take different context_size"):
        pf.SchrodingerBridge(pf.nn.MLP(1, context=1), pf.nn.MLP(1, context=2))
    with pytest.raises(InputError, match="a source of data or start=, not both"):
        pf.fit(_model(OuterIterations(2, 1), start=RegressedSource()), _pairs(40),
               source=torch.randn(40, 1), steps=1, **SETTINGS)  # fmt: skip
    with pytest.raises(InputError, match="not regressed on data yet"):
        RegressedSource()(torch.zeros(2, 1))
    with pytest.raises(InputError, match="15 monomials of degree 4 in 2 numbers need 30 rows"):
        RegressedSource(4).fit(torch.zeros(20, 1), torch.zeros(20, 2))
    with pytest.raises(InputError, match="a picture"):
        UpsampledSource((1, 2, 2), 2, 0.1)(torch.zeros(3, 5))
    flow = pf.FlowMatching(pf.nn.MLP(1, 8), event_shape=1, source_rows=4)
    with pytest.raises(InputError, match="a conditional bridge goes on from another bridge"):
        _model(OuterIterations(2, 1)).warm_start(flow)
    with pytest.raises(CapabilityError, match="there is none to change"):
        recondition(flow, torch.zeros(2, 1), None, [1.0])
    with pytest.raises(InputError, match="first"):
        OuterIterations(first="sideways")  # type: ignore[arg-type]
