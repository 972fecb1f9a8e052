"""Training between two data sets: which rows meet, ahead of time and again after a stop."""

from __future__ import annotations

import threading
from typing import Any

import pytest
import torch
from torch import Tensor, nn

import pushforward as pf
from pushforward.cli import main
from pushforward.errors import CapabilityError, InputError
from pushforward.estimates import Capabilities, LogProb
from pushforward.models import GenerativeModel, Trainable

TARGET = torch.arange(20.0)[:, None] + 100
SOURCE = torch.arange(12.0)[:, None]


class Witness(GenerativeModel, Trainable):
    """A transport that only writes down what it is given."""

    takes_source = True

    def __init__(self) -> None:
        super().__init__(1)
        self.weight = nn.Parameter(torch.zeros(1))
        self.seen: list[tuple[Tensor, Tensor]] = []
        self.threads: set[str] = set()
        self.steps_seen: list[int] = []
        self._ready()

    @property
    def capabilities(self) -> Capabilities:
        return Capabilities(sample=False, log_prob="none", conditional=False)

    def describe(self, tensors: dict[str, Tensor] | None = None) -> dict[str, Any]:
        return {"class": "Witness"}

    def sample(self, n: int, c: Any = None, *, seed: int | None = None, **options: Any) -> Any:
        raise CapabilityError("a witness draws nothing")

    def log_prob(self, x: Any, c: Any = None, **options: Any) -> LogProb:
        raise CapabilityError("a witness has no density")

    def keep_source(self, source: Tensor) -> None: ...

    def on_step(
        self, step: int, source: Tensor | None, target: Tensor, c: Tensor | None = None
    ) -> None:
        assert source is not None
        self.steps_seen.append(step)

    def loss(
        self,
        x: Tensor,
        c: Any = None,
        *,
        source: Tensor | None = None,
        generator: torch.Generator | None = None,
        rows: slice = slice(None),
    ) -> Tensor:
        assert source is not None
        if self.training:
            self.seen.append((x[rows, 0], source[rows, 0]))
        noise = torch.randn(len(x), generator=generator)[rows]
        return (self.weight - noise) ** 2 + 0 * source[rows].flatten()


class Sorting(Witness):
    """Joins the batch in order of size."""

    def couple(
        self, x: Tensor, c: Tensor | None, source: Tensor, generator: torch.Generator
    ) -> Tensor:
        if self.training:
            self.threads.add(threading.current_thread().name)
        ranks = x[:, 0].argsort().argsort()
        return source[:, 0].argsort()[ranks]


class Whole(Witness):
    """Joins row `k` with row `k` of the source, again and again."""

    def pair(self, x: Tensor, c: Tensor | None, source: Tensor) -> Tensor:
        return torch.arange(len(x)) % len(source)


def _fit(model: Witness, steps: int = 12, **options: Any) -> Witness:
    settings = {"batch_size": 4, "holdout": 0.0, "standardize": False, "progress": False}
    pf.fit(model, TARGET, source=SOURCE, steps=steps, **(settings | options))
    return model


def test_every_row_of_both_sides_comes_once_per_pass() -> None:
    model = _fit(Witness(), steps=15)
    x, x0 = (torch.cat(side) for side in zip(*model.seen, strict=True))
    assert torch.equal(x.reshape(3, 20).sort().values, TARGET.T.expand(3, 20))
    assert torch.equal(x0.reshape(5, 12).sort().values, SOURCE.T.expand(5, 12))
    assert model.steps_seen == list(range(15))


def test_a_coupling_permutes_the_batch_in_another_thread() -> None:
    plain, sorting = _fit(Witness()), _fit(Sorting())
    for (x, x0), (y, y0) in zip(plain.seen, sorting.seen, strict=True):
        assert torch.equal(x, y)
        assert torch.equal(x0.sort().values, y0.sort().values)
        assert torch.equal(y.argsort(), y0.argsort())
    assert len(sorting.threads) == 1
    assert threading.current_thread().name not in sorting.threads


def test_whole_sets_are_joined_once() -> None:
    for x, x0 in _fit(Whole()).seen:
        assert torch.equal((x - 100) % 12, x0)


def test_held_out_pairs_are_pairs_and_held_out_sources_are_new() -> None:
    seen: list[tuple[Tensor, Tensor]] = []
    trained: set[float] = set()

    class Judged(pf.FlowMatching):
        def loss(self, x, c=None, *, source=None, generator=None, rows=slice(None)):
            if torch.is_grad_enabled():
                trained.update(source.flatten().tolist())
            elif len(x) > 2:  # two are for the rehearsal
                seen.append((x, source))
            return super().loss(x, c, source=source, generator=generator, rows=rows)

    for coupling, source in (
        ("paired", TARGET - 100),
        ("independent", torch.arange(30.0)[:, None]),
    ):
        seen.clear()
        trained.clear()
        model = Judged(pf.nn.MLP(1, width=8), coupling=coupling)
        pf.fit(model, TARGET, source=source, steps=9, batch_size=4, holdout=0.3, progress=False)
        assert seen
        x, x0 = seen[-1]
        # Six rows, twice: as many as four batches have room for.
        assert len(x) == 12
        assert torch.equal(x[:6], x[6:])
        assert not trained & set(x0.flatten().tolist())
        assert torch.equal(x - 100, x0) == (coupling == "paired")


@pytest.mark.parametrize("kind", [Sorting, Whole])
def test_a_resumed_run_meets_the_same_pairs(kind: type[Witness], tmp_path) -> None:
    settings = {"schedule": "constant", "holdout": 0.2}
    whole = _fit(kind(), **settings)
    _fit(kind(), steps=5, out=tmp_path / "run", **settings)
    again = _fit(kind(), out=tmp_path / "run", resume=True, **settings)
    assert torch.equal(again.weight, whole.weight)
    for (x, x0), (y, y0) in zip(whole.seen[5:], again.seen, strict=True):
        assert torch.equal(x, y)
        assert torch.equal(x0, y0)


def test_micro_batches_meet_the_same_pairs() -> None:
    whole, parts = _fit(Sorting()), _fit(Sorting(), accumulate=2)
    for k, (x, x0) in enumerate(whole.seen):
        assert torch.equal(torch.cat([parts.seen[2 * k + i][0] for i in (0, 1)]), x)
        assert torch.equal(torch.cat([parts.seen[2 * k + i][1] for i in (0, 1)]), x0)


def test_sources_that_do_not_fit_are_refused(tmp_path) -> None:
    with pytest.raises(InputError, match=r"shape \(2,\), but the target .* of \(1,\)"):
        pf.fit(Witness(), TARGET, source=torch.zeros(5, 2), progress=False)
    with pytest.raises(InputError, match="starts from noise, not from a source"):
        pf.fit(pf.Diffusion(pf.nn.MLP(1, width=8)), TARGET, source=SOURCE, progress=False)
    _fit(Witness(), out=tmp_path / "run")
    with pytest.raises(InputError, match="begun from another source: tensor, 12 points"):
        pf.fit(
            Witness(), TARGET, source=SOURCE + 1, resume=True, out=tmp_path / "run", steps=12,
            batch_size=4, holdout=0.0, standardize=False, progress=False,
        )  # fmt: skip


def test_the_recipe_names_the_source(capsys) -> None:
    with pytest.raises(SystemExit):
        main(["train", "two_moons", "--source", "8gaussians", "--print-config"])
    assert "source: 8gaussians" in capsys.readouterr().out
