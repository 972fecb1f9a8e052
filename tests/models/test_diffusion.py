"""The diffusion family: its contract, its files, and what it refuses."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
import yaml
from torch import nn

import pushforward as pf
from pushforward._records import sealed
from pushforward.errors import CapabilityError, InputError
from pushforward.models.sealed_folder import FORMAT
from pushforward.parametrizations import EDMPreconditioning
from pushforward.processes import Gaussian
from pushforward.schedules import Rectified

PREDICTIONS = list(pf.registry.names("predictions"))


def _noisy(model: nn.Module) -> nn.Module:
    """Networks start at zero; give every weight something to say."""
    with torch.no_grad():
        for p in model.parameters():
            p.add_(0.1 * torch.randn(p.shape, generator=torch.Generator().manual_seed(0)))
    return model


@pytest.mark.parametrize("predict", PREDICTIONS)
def test_the_contract_for_every_prediction(predict: str) -> None:
    model = pf.Diffusion(pf.nn.MLP(3, width=8), predict=predict)
    x = 5 + torch.randn(50, 3, generator=torch.Generator().manual_seed(0))
    model.fit_units(x)
    losses = model.loss(x, generator=torch.Generator().manual_seed(1))
    assert losses.shape == (50,)
    assert torch.isfinite(losses).all()
    losses.mean().backward()
    samples = model.sample(4, steps=3, seed=0)
    assert samples.shape == (4, 3)
    assert torch.isfinite(samples).all()
    result = model.log_prob(x[:2], steps=4)
    assert result.value.shape == result.stderr.shape == (2,)


def test_the_simple_loss_is_the_squared_error_of_the_noise() -> None:
    # A network that answers zero has the loss E |noise|^2 = 1 per dimension under `noise`.
    class Zero(nn.Module):
        def forward(self, x, t, c=None):
            return torch.zeros_like(x)

    model = pf.Diffusion(Zero(), predict="noise")
    x = torch.randn(4000, 5, generator=torch.Generator().manual_seed(0))
    loss = model.loss(x, generator=torch.Generator().manual_seed(1)).mean()
    assert float(loss) == pytest.approx(1.0, abs=0.03)


OF_JUMPS = {
    *("remdm", "gibbs", "first-hitting", "uniformization", "confidence", "entropy-bounded"),
    "birth-clocks",
}


@pytest.mark.filterwarnings("ignore:.*Langevin moves each are too few")
@pytest.mark.parametrize(
    "sampler", [name for name in pf.registry.names("samplers") if name not in OF_JUMPS]
)
def test_a_seed_fixes_the_sample_whatever_the_batch(sampler: str) -> None:
    model = _noisy(pf.Diffusion(pf.nn.MLP(2, width=8), event_shape=(2,)))
    first = model.sample(6, sampler=sampler, steps=5, seed=3)
    assert torch.equal(first, model.sample(6, sampler=sampler, steps=5, seed=3))
    if sampler in {"euler", "tau-leap", "ddim", "heun", "dpm++2m"}:
        split = model.sample(6, sampler=sampler, steps=5, seed=3, batch_size=2)
        assert torch.allclose(first, split, atol=1e-5)


def test_any_module_with_the_signature_is_a_network() -> None:
    class Mine(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layer = nn.Linear(3, 2)

        def forward(self, x, t, c=None):
            assert t.shape == x.shape[:1]
            return self.layer(torch.cat([x, t[:, None]], -1))

    model = pf.Diffusion(Mine())
    model.fit_units(torch.randn(10, 2))
    assert model.sample(3, steps=2, seed=0).shape == (3, 2)


class Plain(nn.Module):
    """A network that no configuration can name."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(2, 2)

    def forward(self, x, t, c=None):
        return self.layer(x)


def test_saving_and_loading(tmp_path: Path) -> None:
    net = pf.nn.MLP(2, width=8, num_classes=3)
    model = _noisy(
        pf.Diffusion(net, Gaussian(Rectified()), EDMPreconditioning(0.5), times="logit-normal")
    )
    model.fit_units(3 * torch.randn(20, 2) - 7)
    model.save(tmp_path / "model")
    loaded = pf.load(tmp_path / "model")
    assert loaded.describe() == model.describe()
    assert torch.equal(loaded.sample(5, 1, seed=0), model.sample(5, 1, seed=0))
    assert json.loads((tmp_path / "model/manifest.json").read_text())["format"] == FORMAT
    assert sorted(p.suffix for p in (tmp_path / "model").iterdir()) == [
        ".json",
        ".safetensors",
        ".yaml",
    ]


def test_a_network_of_the_users_is_handed_back_when_loading(tmp_path: Path) -> None:
    model = pf.Diffusion(Plain(), event_shape=(2,))
    model.save(tmp_path)
    with pytest.raises(InputError, match=r"Plain.*net="):
        pf.load(tmp_path)
    loaded = pf.load(tmp_path, net=Plain())
    assert torch.equal(loaded.sample(2, seed=0), model.sample(2, seed=0))


def test_loading_runs_no_code_from_a_file(tmp_path: Path) -> None:
    pf.Diffusion(pf.nn.MLP(2, width=8), event_shape=(2,)).save(tmp_path)
    path = tmp_path / "config.yaml"
    for attack in (
        "os:system",
        "subprocess:Popen",
        "config.import_module",
        "cli.main",
        "os.system",
    ):
        config = yaml.safe_load(path.read_text())
        config["model"]["args"]["net"] = {"class": attack, "args": {"command": "touch /tmp/owned"}}
        # Sealed by the attacker: a checksum says that a file is whole, not that it means well.
        path.write_text(sealed(config))
        with pytest.raises(InputError, match=r"not a configurable class|lies outside pushforward"):
            pf.load(tmp_path)
    path.write_text("!!python/object/apply:os.system ['true']")
    with pytest.raises(InputError, match="has no checksum"):
        pf.load(tmp_path)


def test_files_that_do_not_fit_are_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="there is no folder"):
        pf.load(tmp_path / "nowhere")
    with pytest.raises(InputError, match="neither a saved model nor a run"):
        pf.load(tmp_path)
    pf.Diffusion(pf.nn.MLP(2, width=8), event_shape=(2,)).save(tmp_path)
    config = yaml.safe_load((tmp_path / "config.yaml").read_text())
    config["model"]["args"]["net"]["args"]["width"] = 9
    (tmp_path / "config.yaml").write_text(yaml.safe_dump(config))
    with pytest.raises(InputError, match="has no checksum"):
        pf.load(tmp_path)
    (tmp_path / "config.yaml").write_text(sealed(config))
    with pytest.raises(InputError, match="does not fit its configuration"):
        pf.load(tmp_path)
    manifest = json.loads((tmp_path / "manifest.json").read_text())
    (tmp_path / "manifest.json").write_text(json.dumps(manifest | {"format": 99}))
    with pytest.raises(InputError, match="layout 99"):
        pf.load(tmp_path)
    # Its networks had other layers.
    (tmp_path / "manifest.json").write_text(json.dumps(manifest | {"format": 4}))
    with pytest.raises(InputError, match=r"layout 4, of an older version.*use the version"):
        pf.load(tmp_path)


def test_guidance_pulls_towards_the_label() -> None:
    net = _noisy(pf.nn.MLP(2, width=16, num_classes=2))
    model = pf.Diffusion(net, event_shape=(2,))
    plain = model.sample(3, 1, steps=5, seed=0)
    assert torch.allclose(plain, model.sample(3, 1, steps=5, seed=0, guidance=1.0))
    free = model.sample(3, steps=5, seed=0)
    assert torch.allclose(free, model.sample(3, 1, steps=5, seed=0, guidance=0.0), atol=1e-5)
    assert not torch.allclose(plain, model.sample(3, 1, steps=5, seed=0, guidance=3.0))


def test_film_strips() -> None:
    model = pf.Diffusion(pf.nn.MLP(2, width=8))
    x = 4 + 0.1 * torch.randn(100, 2)
    model.fit_units(x)
    times, states, denoised = model.trajectory(5, frames=4, steps=10, seed=0)
    assert len(times) == len(states) == len(denoised) == 4
    assert times == sorted(times, reverse=True)
    # The last state, denoised, is the sample.
    sample = model.sample(5, steps=11, seed=0)
    assert torch.allclose(denoised[-1], sample, atol=1e-5)
    forward = model.noised(x, [0.0, 0.5, 1.0], seed=0)
    assert torch.allclose(forward[0], x, atol=1e-5)
    assert forward[2].sub(4).abs().mean() < 1.0


def test_callbacks_see_each_step_and_its_denoised_states() -> None:
    model = pf.Diffusion(pf.nn.MLP(2, width=8), event_shape=(2,))
    model.fit_units(5 + torch.randn(100, 2))
    seen: list[pf.models.Moment] = []
    x = model.sample(3, steps=5, seed=0, batch_size=2, callback=seen.append)
    assert [(m.step, m.rows.stop - m.rows.start) for m in seen] == [
        *((k, 2) for k in range(5)),
        *((k, 1) for k in range(5)),
    ]
    assert seen[0].time == model.process.schedule.t_max
    assert seen[4].time == model.process.schedule.t_min
    assert torch.equal(torch.cat([seen[4].denoised(), seen[9].denoised()]), x)
    # In data units.
    assert (seen[0].x - 5).abs().mean() < 2


def test_progress_of_a_density_is_reported_by_the_evaluation() -> None:
    model = pf.Diffusion(pf.nn.MLP(2, width=8), event_shape=(2,))
    seen: list[tuple[int, int]] = []
    x = torch.zeros(5, 2)
    options = {"seed": 0, "progress": lambda k, n: seen.append((k, n))}
    found = model.log_prob(x, steps=4, batch_size=3, **options)
    assert [k for k, _ in seen] == [*range(1, 13), 12, *range(13, 25), 24]
    assert {n for _, n in seen} == {24}
    assert found.nfe == 12 * (1 + 2)
    seen.clear()
    model.log_prob(x, tolerance=1e-3, batch_size=3, **options)
    assert seen == [(1, 2), (2, 2)]


def test_progress_is_reported() -> None:
    model = pf.Diffusion(pf.nn.MLP(2, width=8), event_shape=(2,))
    seen = []
    model.sample(4, steps=5, seed=0, batch_size=2, progress=lambda k, n: seen.append((k, n)))
    assert seen == [(k, 8) for k in range(1, 9)]


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda m: m.sample(0), InputError, "n is a whole number of at least 1, not 0"),
        (lambda m: m.sample(2.5), InputError, "n is a whole number"),
        (lambda m: m.sample(2, steps=4.0), InputError, "steps is a whole number of at least 2"),
        (lambda m: m.sample(2, steps=1), InputError, "at least 2, not 1"),
        (lambda m: m.sample(2, sampler="euller"), InputError, "did you mean 'euler'"),
        (lambda m: m.sample(2, grid="log"), InputError, "no grid is called"),
        (lambda m: m.sample(2, 1), CapabilityError, "takes no labels"),
        (lambda m: m.sample(2, guidance=2.0), CapabilityError, "needs labels"),
        (lambda m: m.sample(2, seed=1, generator=torch.Generator()), InputError, "not both"),
        (lambda m: m.sample(2, stop=2.0), InputError, "start to stop"),
        (lambda m: m.sample(2, batch_size=0), InputError, "batch_size"),
        (lambda m: m.loss(torch.zeros(3, 4)), InputError, r"shape \(2,\), not \(4,\)"),
        (lambda m: m.loss(torch.zeros(3, 2, dtype=torch.long)), InputError, "floating-point"),
        (lambda m: m.log_prob(torch.zeros(2)), InputError, r"\(B, \*event\)"),
        (lambda m: m.log_prob(torch.full((3, 2), torch.nan)), InputError, "3 of 3 states"),
        (lambda m: m.log_prob(torch.zeros(3, 2), steps=5), InputError, "even number of steps"),
        (lambda m: m.trajectory(2, frames=1), InputError, "frames"),
        (lambda m: m.noised(torch.zeros(3, 2), [0.5, 1.5]), InputError, "time 1.5 lies outside"),
        (
            lambda m: m.predictor(torch.zeros(2, 2), torch.tensor([0.5, -0.1])),
            InputError,
            r"time -0.1\d* lies outside",
        ),
        (
            lambda m: m.process.sample(torch.zeros(2, 2), torch.tensor([0.5, torch.nan])),
            InputError,
            "time nan lies outside",
        ),
        (lambda m: m.variational_bound(torch.zeros(3, 2), level=-1.0), InputError, "not -1.0"),
        (lambda m: m.variational_bound(torch.zeros(3, 2), steps=1), InputError, "of at least"),
        (lambda m: pf.Diffusion(torch.nn.Linear(2, 2)), InputError, r"net\(x, t, c\), but Linear"),
        (lambda m: m.sample(3, [1.0, 2.0]), CapabilityError, "takes no labels"),
    ],
)
def test_bad_requests_are_refused(call, error, message: str) -> None:
    model = pf.Diffusion(pf.nn.MLP(2, width=8), event_shape=(2,))
    with pytest.raises(error, match=message):
        call(model)


def test_more_bad_requests() -> None:
    with pytest.raises(InputError, match="not known yet"):
        pf.Diffusion(pf.nn.MLP(2, width=8)).sample(2)
    with pytest.raises(InputError, match="no prediction is called 'x'"):
        pf.Diffusion(pf.nn.MLP(2, width=8), predict="x")
    with pytest.raises(InputError, match="label_dropout"):
        pf.Diffusion(pf.nn.MLP(2, width=8), label_dropout=1.5)

    class Wrong(nn.Module):
        def forward(self, x, t, c=None):
            return x[:, :1]

    with pytest.raises(InputError, match=r"returned \(2, 1\)"):
        pf.Diffusion(Wrong(), event_shape=(2,)).sample(2)
    with pytest.raises(InputError, match="the network is an"):
        pf.Diffusion(pf.nn.MLP)
    with pytest.raises(InputError, match=r"one of pushforward\.processes, not VP"):
        pf.Diffusion(pf.nn.MLP(2), pf.schedules.VP())
    labelled = pf.Diffusion(pf.nn.MLP(2, width=8, num_classes=3), event_shape=(2,))
    with pytest.raises(InputError, match=r"labels lie in 0\.\.2"):
        labelled.sample(2, 3)
    for wrong in (True, 1.0, "one", torch.tensor([True, False])):
        with pytest.raises(InputError, match="labels are integers"):
            labelled.sample(2, wrong)
    alike = labelled.sample(2, torch.tensor([1, 2], dtype=torch.uint8), guidance=2.0, seed=0)
    assert torch.equal(alike, labelled.sample(2, torch.tensor([1, 2]), guidance=2.0, seed=0))


def test_what_was_never_trained_is_refused() -> None:
    net = pf.nn.MLP(2, width=8, num_classes=3)
    model = pf.Diffusion(net, label_dropout=0.0, event_shape=(2,))
    assert model.sample(2, 1, steps=3, seed=0).shape == (2, 2)
    for request in ({"c": 1, "guidance": 2.0}, {"c": None}):
        with pytest.raises(CapabilityError, match="never trained without labels"):
            model.sample(2, steps=3, **request)


def test_labels_are_hidden_in_training_only() -> None:
    class Seen(nn.Module):
        num_classes = 3

        def forward(self, x, t, c=None):
            self.labels = c
            return x

    model = pf.Diffusion(Seen(), label_dropout=0.5, event_shape=(2,))
    x, c = torch.randn(2000, 2), torch.ones(2000, dtype=torch.long)
    model.loss(x, c)
    share = (model.predictor.net.labels == -1).float().mean()
    assert abs(float(share) - 0.5) < 4 * 0.5 / 2000**0.5
    model.eval().loss(x, c)
    assert (model.predictor.net.labels == 1).all()


def test_any_network_with_any_context() -> None:
    class Told(nn.Module):
        def __init__(self):
            super().__init__()
            self.layer = nn.Linear(2 + 1 + 3, 2)

        def forward(self, x, t, c):
            # A network of one's own may do with its times as it likes.
            t *= 1000
            return self.layer(torch.cat([x, t[:, None], c], -1))

    model = pf.Diffusion(Told(), event_shape=(2,))
    context = torch.randn(5, 3)
    assert model.loss(torch.randn(5, 2), context).shape == (5,)
    assert model.sample(5, context, steps=4, seed=0).shape == (5, 2)
    assert model.log_prob(torch.randn(5, 2), context, steps=4).value.shape == (5,)
    with pytest.raises(InputError, match="one row for each of 4 states"):
        model.sample(4, context)


def test_double_precision_throughout() -> None:
    model = pf.Diffusion(pf.nn.MLP(2, width=8), event_shape=(2,)).double()
    x = torch.randn(4, 2, dtype=torch.float64)
    assert model.sample(3, steps=4, seed=0).dtype == torch.float64
    assert model.loss(x).dtype == torch.float64
    assert model.log_prob(x, steps=4).value.dtype == torch.float64
    assert model.float().log_prob(x, steps=4).value.dtype == torch.float32


def test_samples_that_are_not_finite_are_told() -> None:
    class Broken(nn.Module):
        def forward(self, x, t, c=None):
            return torch.full_like(x, torch.nan)

    with pytest.warns(UserWarning, match="3 of 3 samples are not finite"):
        pf.Diffusion(Broken(), event_shape=(2,)).sample(3, steps=3)


def test_the_end_of_the_grid_at_no_noise() -> None:
    model = pf.Diffusion(pf.nn.MLP(2, width=8), predict="v", event_shape=(2,))
    assert (
        model.sample(3, steps=4, grid="uniform", sampler="ddim", stop=0.0, seed=0).isfinite().all()
    )


def test_saving_into_a_checkpoint_replaces_its_averages(tmp_path: Path) -> None:
    old = _noisy(pf.Diffusion(pf.nn.MLP(2, width=8), event_shape=(2,)))
    run = pf.fit(old, torch.randn(50, 2), steps=2, out=tmp_path / "run", progress=False)
    folder = next((run.path / "checkpoints").glob("step-*"))
    new = _noisy(pf.Diffusion(pf.nn.MLP(2, width=8), event_shape=(2,)))
    new.save(folder)
    assert torch.equal(pf.load(folder).predictor.net.last.bias, new.predictor.net.last.bias)


@pytest.mark.parametrize(
    ("file", "content"),
    [
        ("manifest.json", "{"),
        ("manifest.json", "[]"),
        ("manifest.json", '{"format": "one"}'),
        ("config.yaml", b"\xff\xfe\x00"),
        ("config.yaml", "model: 5"),
        ("config.yaml", "model: {class: schedules.VP, args: {}}"),
        ("config.yaml", "model: {class: nn.MLP, args: {event: [2], width: abc}}"),
        ("model.safetensors", b"not tensors"),
    ],
)
def test_a_damaged_folder_is_told_apart(tmp_path: Path, file: str, content: str | bytes) -> None:
    model = pf.Diffusion(pf.nn.MLP(2, width=8), event_shape=(2,))
    model.save(tmp_path)
    data = content if isinstance(content, bytes) else content.encode()
    (tmp_path / file).write_bytes(data)
    with pytest.raises(InputError):
        pf.load(tmp_path)


class _Careless(nn.Module):
    """A network that changes its times in place."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(3, 2)

    def forward(self, x, t, c=None):
        t *= 3.0
        return self.layer(torch.cat([x, t.sin()[:, None]], 1))


def test_what_a_network_does_to_its_times_does_not_last() -> None:
    model = pf.Diffusion(_Careless(), event_shape=(2,))
    first = model.sample(4, seed=0, steps=5)
    assert torch.equal(model.sample(4, seed=0, steps=5), first)


def test_a_prediction_has_its_gradient_in_the_time() -> None:
    model = pf.Diffusion(pf.nn.MLP(2, width=8), event_shape=(2,))
    _noisy(model)
    x, t = torch.randn(4, 2), torch.full((4,), 0.5, requires_grad=True)
    with torch.no_grad():
        model.predictor(x, t)
    for _ in range(2):
        (slope,) = torch.autograd.grad(model.predictor(x, t).sum(), t)
        assert bool((slope != 0).all())
    model.predictor(x, t.detach())
    moved = t.detach()
    moved.numpy()[:] = 0.9
    again = model.predictor(x, torch.full((4,), 0.9))
    assert torch.equal(model.predictor(x, moved), again)


def test_a_film_strip_in_batches_is_that_of_all() -> None:
    model = pf.Diffusion(pf.nn.MLP(2, width=8), event_shape=(2,))
    whole = model.trajectory(5, frames=3, steps=6, seed=0)
    parts = model.trajectory(5, frames=3, steps=6, seed=0, batch_size=2)
    assert whole.states.shape == (3, 5, 2)
    assert parts.times == whole.times
    assert torch.allclose(parts.states, whole.states, atol=1e-6)
    assert torch.allclose(parts.denoised, whole.denoised, atol=1e-6)
    with pytest.raises(InputError, match="adaptive"):
        model.trajectory(5, sampler="rk45")
    with pytest.raises(InputError, match="not denoised"):
        model.trajectory(5, denoise=True)


@pytest.mark.parametrize("distribution", ["rademacher", "gaussian"])
def test_the_probes_of_a_state_are_the_same_in_any_batch(distribution: str) -> None:
    model = _noisy(pf.Diffusion(pf.nn.MLP(2, width=8), event_shape=(2,)))
    more = {"divergence": "hutchinson", "probe_distribution": distribution, "steps": 4, "seed": 0}
    x = torch.randn(5, 2)
    whole, parts = (model.log_prob(x, batch_size=size, **more).value for size in (5, 2))
    assert torch.allclose(whole, parts, atol=1e-5)


def test_double_precision_with_contexts_and_tokens() -> None:
    model = pf.Diffusion(pf.nn.MLP(2, width=8, context=3), event_shape=(2,)).double()
    c = torch.randn(4, 3)
    assert model.sample(4, c, seed=0, steps=3).dtype == torch.float64
    assert model.loss(torch.randn(4, 2).double(), c).dtype == torch.float64
    process = pf.processes.Masking(pf.spaces.Tokens(3))
    words = pf.data.Data(torch.randint(0, 3, (6, 4)))
    model = pf.Diffusion.for_data(words, process=process).double()
    model.fit_units(words.x)
    assert model.loss(words.x).dtype == torch.float64
    with pytest.raises(InputError, match="64 bits"):
        model.loss(words.x.int())
    assert model.sample(3, seed=0, steps=3).shape == (3, 4)


def test_a_path_that_is_followed_to_the_end_says_so() -> None:
    model = pf.Diffusion(pf.nn.MLP(2, width=8), event_shape=(2,))
    assert model.about_sampling({"stop": 0.0}) is None
    assert "t = 0.001" in str(model.about_sampling({}))
