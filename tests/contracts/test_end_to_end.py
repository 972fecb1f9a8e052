"""One contract for every space: from a file to a report, and to the distribution it came from.

A small network is trained from the command line on draws of an analytic model, and draws again. A
new space costs one row of `CASES`.
"""

from __future__ import annotations

import functools
import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import torch

import pushforward as pf
from pushforward import processes, spaces, state
from pushforward.analytic import AnalyticCounts, AnalyticFunctions, AnalyticTokens
from pushforward.cli import main
from pushforward.data.writing import write
from pushforward.distributions import (
    DirichletMixture,
    GaussianMixture,
    VonMisesFisher,
    WrappedNormal,
)
from pushforward.metrics import energy_distance, total_variation

DRAWN = 1500
pytestmark = pytest.mark.usefixtures("coarse_pictures")


class Case(NamedTuple):
    """One space with a process on it.

    Args:
        draw: `n` states of the analytic model, by a seed.
        space: where they are.
        model: the model as a recipe has it.
        file: the name of the file that holds them.
        far: the largest distance of what is drawn from the problem: the energy distance of the
            features in standard deviations and, where states have kinds, the total variation.
        train: settings of the training.
        source: draws of the source, for a model between two data sets.
    """

    draw: Callable[[int, int], Any]
    space: spaces.Space
    model: dict[str, Any]
    file: str
    far: float
    train: dict[str, Any] = {}  # noqa: RUF012
    source: Callable[[int, int], Any] | None = None


MIXTURE = GaussianMixture(torch.tensor([[2.0, 0.0], [-1.0, 1.0]]), 0.09)
CIRCLE = WrappedNormal(0.5, 0.4)
CAP = VonMisesFisher(torch.tensor([0.0, 0.6, 0.8]), 8.0)
TABLE = AnalyticTokens.random(3, 3, seed=0).data
COUNTS = AnalyticCounts.example()
PARTS = DirichletMixture(torch.tensor([[12.0, 3.0, 3.0], [2.0, 8.0, 6.0]]))


def _functions(points: int) -> tuple[Callable[[int, int], Any], spaces.Space, dict[str, Any]]:
    problem = AnalyticFunctions.on_grid(points)
    kernel = {"class": "spaces.kernels.Exponential", "args": {"length": 0.1}}
    space = spaces.Hilbert(spaces.kernels.Exponential(length=0.1), points=points)
    named = {"class": "hilbert", "covariance": kernel, "points": points}
    model = {"class": "diffusion", "process": {"class": "gaussian", "space": named}}
    return lambda n, seed: problem.data.sample(n, seed=seed).float(), space, model


def _product(n: int, seed: int) -> tuple[Any, ...]:
    """A place, and an angle that says where the place is."""
    place = MIXTURE.sample(n, seed=seed)
    turn = torch.where(place[:, :1] > 0.5, 1.5, -1.5)
    return place, spaces.Torus().exp(turn, 0.2 * CIRCLE.sample(n, seed=seed + 1))


def _on(process: str, **options: Any) -> dict[str, Any]:
    return {"class": "diffusion", "process": {"class": process, **options}}


CASES: dict[str, Case] = {
    "vectors": Case(
        lambda n, seed: MIXTURE.sample(n, seed=seed),
        spaces.Euclidean(),
        {"class": "diffusion"},
        "x.csv",
        0.02,
    ),
    "functions on 8 points": Case(*_functions(8), "x.csv", 0.03),
    "functions on 24 points": Case(*_functions(24), "x.csv", 0.03),
    "circle": Case(
        lambda n, seed: CIRCLE.sample(n, seed=seed),
        spaces.Torus(),
        _on("brownian", space="torus"),
        "x.csv",
        0.02,
    ),
    "sphere": Case(
        lambda n, seed: CAP.sample(n, seed=seed),
        spaces.Sphere(),
        _on("brownian", space="sphere"),
        "x.csv",
        0.03,
    ),
    "geodesics": Case(
        lambda n, seed: CAP.sample(n, seed=seed),
        spaces.Sphere(),
        {"class": "matching", "path": {"class": "geodesic", "space": "sphere"}},
        "x.csv",
        0.03,
    ),
    "tokens": Case(
        lambda n, seed: TABLE.sample(n, seed=seed),
        spaces.Tokens(3),
        _on("masking", space={"class": "tokens", "vocabulary": 3}),
        "x.csv",
        0.10,
    ),
    "uniform jumps": Case(
        lambda n, seed: TABLE.sample(n, seed=seed),
        spaces.Tokens(3),
        _on("uniform-jumps", space={"class": "tokens", "vocabulary": 3}),
        "x.csv",
        0.12,
    ),
    "counts": Case(
        lambda n, seed: COUNTS.sample(n, seed=seed),
        spaces.PointCloud(),
        _on("thinning"),
        "x.npz",
        0.08,
    ),
    "jump diffusion": Case(
        lambda n, seed: COUNTS.sample(n, seed=seed),
        spaces.PointCloud(),
        _on("jump-diffusion"),
        "x.npz",
        0.10,
    ),
    "product": Case(
        _product,
        spaces.Product(spaces.Euclidean(2), spaces.Torus(1)),
        _on(
            "product",
            factors=[
                {"class": "gaussian", "space": {"class": "euclidean", "dim": 2}},
                {"class": "brownian", "space": {"class": "torus", "dim": 1}},
            ],
        ),
        "x.csv",
        0.03,
    ),
    "compositions": Case(
        lambda n, seed: PARTS.sample(n, seed=seed),
        spaces.Simplex(),
        _on("wright-fisher"),
        "x.csv",
        0.03,
    ),
    "bridge": Case(
        lambda n, seed: MIXTURE.sample(n, seed=seed),
        spaces.Euclidean(),
        {"class": "bridge", "iterations": 5, "cache": {"rows": 2000}},
        "x.csv",
        0.05,
        source=lambda n, seed: torch.randn(n, 2, generator=torch.Generator().manual_seed(seed)),
    ),
}


class Trained(NamedTuple):
    """What the command line has made of a case, or is to make."""

    case: Case
    folder: Path
    run: Path

    @property
    def words(self) -> list[object]:
        """The command that trains, but for its folder."""
        words = ["train", self.folder / self.case.file, "--recipe", self.folder / "asked.yaml"]
        source = ["--source", self.folder / "source.csv"]
        return words if self.case.source is None else [*words, *source]


@pytest.fixture(params=CASES, scope="module")
def asked(request, tmp_path_factory) -> Trained:
    case, folder = CASES[request.param], tmp_path_factory.mktemp("space")
    write(folder / case.file, case.draw(3000, 0), space=case.space)
    settings = {"steps": 500, "batch_size": 128, "lr": 2e-3, "ema": 0.99, "checkpoint_every": 250}
    small = {"net": {"class": "mlp", "width": 64, "depth": 3}}
    model = case.model if case.source is not None else case.model | small
    recipe = {"data": "", "model": model, "train": settings | case.train}
    if case.source is not None:
        write(folder / "source.csv", case.source(3000, 7), space=case.space)
    (folder / "asked.yaml").write_text(json.dumps(recipe))
    return Trained(case, folder, folder / "run")


@pytest.fixture(scope="module")
def trained(asked: Trained) -> Trained:
    _call("--quiet", *asked.words, "--out", asked.run)
    return asked


def _call(*words: object) -> None:
    with pytest.raises(SystemExit) as end:
        main([str(word) for word in words])
    assert end.value.code == 0, words


@pytest.mark.slow
def test_what_is_drawn_is_distributed_like_the_world(trained: Trained) -> None:
    case = trained.case
    model = pf.load(trained.run)
    drawn, problem = model.sample(DRAWN, seed=0), case.draw(DRAWN, 99)
    case.space.check(drawn)
    features = [case.space.features(x).double() for x in (drawn, problem)]
    shift, scale = features[1].mean(0), features[1].std(0).clamp_min(1e-6)
    far = energy_distance(*((f - shift) / scale for f in features), seed=0)
    assert far.value < case.far, far
    kinds = case.space.categories(drawn), case.space.categories(problem)
    for name in kinds[0]:
        apart = total_variation(kinds[0][name], kinds[1][name], seed=0)
        assert apart.value < case.far + 0.05, (name, apart)


def test_it_is_evaluated_with_floors_and_a_picture(trained: Trained, capsys) -> None:
    _call("--quiet", "evaluate", trained.run, "-n", 300, "--points", 16, "--json")
    found = json.loads(capsys.readouterr().out)
    names = [row["name"] for row in found["rows"]]
    assert {"sliced W2", "energy distance", "classifier accuracy", "memorization"} <= set(names)
    for row in found["rows"]:
        assert math.isfinite(row["value"]), row
        assert row["floor"] is None or math.isfinite(row["floor"]), row
    page = (trained.run / "report.html").read_text(encoding="utf-8")
    assert "Samples beside data" in page
    assert page.count("data:image/png;base64,") >= 2
    assert (trained.run / "samples.png").read_bytes()[1:4] == b"PNG"


def test_files_of_samples_are_read_as_data_are(trained: Trained) -> None:
    out = trained.folder / f"drawn{Path(trained.case.file).suffix}"
    _call("--quiet", "sample", trained.run, "-n", 20, "--out", out, "--seed", 3)
    read = pf.data.load(out, space=trained.case.space)
    assert len(read) == 20
    drawn = pf.load(trained.run).sample(20, seed=3)
    # Point sets are read with their slots in another order.
    ours, theirs = (trained.case.space.features(x) for x in (drawn, read.x))
    assert torch.allclose(ours, theirs, atol=1e-5)


def test_a_row_is_the_same_in_any_batch(trained: Trained) -> None:
    model = pf.load(trained.run)
    whole = model.sample(7, seed=5)
    for part in (model.sample(3, seed=5), model.sample(7, seed=5, batch_size=2)):
        n = state.rows(part)
        for a, b in zip(state.leaves(part), state.leaves(whole), strict=True):
            assert torch.allclose(a.float(), b[:n].float(), atol=1e-5)


def test_a_run_goes_on_where_it_was_stopped(asked: Trained) -> None:
    """Bit for bit, without a word of the recipe."""
    words = [*asked.words, "--steps", 12, "train.checkpoint_every=6"]
    if asked.case.source is not None:
        words += ["model.iterations=2", "model.cache.rows=100"]
    words += ["--out"]
    whole, again = asked.folder / "whole", asked.folder / "again"

    class Stop(Exception):
        pass

    def stopping(self: Any, *args: Any, **options: Any) -> Any:
        real(self, *args, **options)
        raise Stop

    from pushforward.training.checkpoint import Checkpoints

    real = Checkpoints.save
    with pytest.MonkeyPatch.context() as patch:
        # Reports are written, and evaluated, above.
        patch.setattr("pushforward.cli.train._finish", lambda *args: None)
        with patch.context() as stops:
            stops.setattr(Checkpoints, "save", stopping)
            with pytest.raises(Stop):
                main([str(w) for w in ["--quiet", *words, again]])
        _call("--quiet", "train", "--resume", "--out", again)
        _call("--quiet", *words, whole)
    first, second = (pf.load(folder).state_dict() for folder in (whole, again))
    assert first.keys() == second.keys()
    for key, value in first.items():
        assert torch.equal(value, second[key]), key


def test_processes_without_a_density_say_so(trained: Trained) -> None:
    model = pf.load(trained.run)
    x = trained.case.draw(4, 1)
    if model.capabilities.log_prob == "none":
        with pytest.raises(pf.errors.CapabilityError):
            model.log_prob(x)
    else:
        assert model.log_prob(x).value.isfinite().all()


def test_every_process_has_a_row() -> None:
    """Of those that a model can be trained for."""
    named = {
        "gaussian", "brownian", "geodesic", "masking", "thinning", "trimming", "jump-diffusion",
        "product", "jumps", "uniform-jumps", "block-masking", "wright-fisher",
        "cox-ingersoll-ross",
    }  # fmt: skip
    paths = {
        "linear", "trigonometric", "scheduled", "one-sided", "bridge", "ou-bridge", "dirichlet",
        "manifold-bridge", "token-bridge",
    }  # fmt: skip
    # Sets whose size is drawn first have files of their own, tests/laws/test_gaussian_sets.py.
    known = set(pf.registry.names("processes"))
    assert known == named | paths | {"interpolant", "gaussian-sets"}
    found = [pf.registry.find("processes", name) for name in known]
    classes = [made.func if isinstance(made, functools.partial) else made for made in found]
    assert all(issubclass(cls, processes.GenerativeProcess) for cls in classes)
