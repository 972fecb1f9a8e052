"""Models of sets: between two sets, and training that is stopped and goes on."""

from __future__ import annotations

import contextlib
import math
import signal
import textwrap
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from tests.laws.test_sets import WORLDS, check_shares

import pushforward as pf
from pushforward.condition import Condition
from pushforward.data.molecule_format import MoleculeFormat
from pushforward.errors import CapabilityError, InputError
from pushforward.models import between_sets
from pushforward.processes import GaussianSets, JumpDiffusion, Thinning, molecule_process
from pushforward.spaces import MarkedPoints, PointCloud, Points

N = 1500


@pytest.mark.parametrize("share", [0.0, 0.3])
def test_between_sets_of_a_poisson_process_lie_sets_of_it(share: float) -> None:
    """Thinned Poisson sets put together are Poisson again, so that the law is that of the data."""
    problem, process = WORLDS["poisson"], Thinning()
    model: Any = SimpleNamespace(
        process=process, predictor=problem.thinning_model(process), condition=Condition(),
        inward=lambda x: x, outward=lambda x: x, evaluating=contextlib.nullcontext,
        device=torch.device("cpu"),
    )  # fmt: skip
    first, second = problem.sample(N, seed=1), problem.sample(N, seed=2)
    x = between_sets(model, first, second, share, at=0.5, steps=3, seed=0)
    shares = torch.bincount(x.number, minlength=9) / N
    # The sizes of the data end at eight, which one set in 4000 of a Poisson law exceeds.
    check_shares(shares, problem.sizes, N, 3e-4)
    # As many of the points of either as are kept: alpha (1 - share), and alpha share.
    for own, chance in ((first, 0.5 * (1 - share)), (second, 0.5 * share)):
        same = (x.x.unsqueeze(2) == own.x.unsqueeze(1)).all(-1) & x.mask.unsqueeze(2)
        kept = float((same & own.mask.unsqueeze(1)).sum() / own.mask.sum())
        assert kept == pytest.approx(chance, abs=4 * 0.5 / math.sqrt(int(own.mask.sum())))


def test_between_what_is_refused() -> None:
    x = Points(torch.zeros(3, 2, 1), torch.ones(3, 2).bool())
    model: Any = SimpleNamespace(process=GaussianSets())
    with pytest.raises(CapabilityError, match="GaussianSets deletes no points"):
        between_sets(model, x, x)
    model.process = Thinning()
    with pytest.raises(InputError, match=r"share=1.5 lies in 0\.\.1"):
        between_sets(model, x, x, 1.5)
    with pytest.raises(InputError, match="give as many, with as many slots"):
        between_sets(model, x, Points(x.x[:2], x.mask[:2]))


def test_sets_in_memory_do_not_say_their_space() -> None:
    with pytest.raises(InputError, match="say what they are of, such as process="):
        pf.Diffusion.for_data(_marked())


def test_sets_without_a_point_teach_nothing() -> None:
    x = Points(torch.zeros(9, 2, 1), torch.zeros(9, 2).bool())
    data = pf.data.load(x, space=PointCloud())
    model = pf.Diffusion.for_data(data, process=JumpDiffusion())
    with pytest.raises(InputError, match="not one point in the data"):
        pf.fit(model, data, steps=1, batch_size=4, progress=False)


def test_molecules_as_they_were_read_are_no_states(tmp_path: Path) -> None:
    water = pf.molecules.Molecule(("O", "H"), [[0, 0, 0], [0, 0, 1.0]])
    (tmp_path / "few.xyz").write_text(pf.molecules.xyz_text([water] * 3))
    with pytest.raises(InputError, match=r"space=pf.spaces.space_of\(data\)"):
        pf.Diffusion.for_data(pf.data.load(tmp_path / "few.xyz"))


def _marked() -> Any:
    g = torch.Generator().manual_seed(0)
    x, mask = torch.randn(60, 4, 2, generator=g), torch.rand(60, 4, generator=g) < 0.6
    kinds = torch.randint(0, 3, (60, 4, 1), generator=g)
    return pf.data.load(MarkedPoints(x, mask, kinds), space=PointCloud(kinds=(3,)))


def _molecules() -> Any:
    g = torch.Generator().manual_seed(0)
    number = torch.randint(2, 5, (60, 1), generator=g)
    mask = torch.arange(4) < number
    atoms = pf.molecules.Atoms(
        torch.randn(60, 4, 3, generator=g), torch.randint(0, 2, (60, 4), generator=g) * mask, mask
    )
    arrays = MoleculeFormat(("H", "O")).arrays(atoms, ("x", "mask"))
    return pf.data.load(Points(**arrays), space=PointCloud(center=3))


def trained(kind: str, out: Path, **more: Any) -> Any:
    """Six steps of sets with marks, or of molecules whose number of atoms is drawn first."""
    data = _marked() if kind == "sets" else _molecules()
    marked: Any = JumpDiffusion(space=PointCloud(kinds=(3,)))
    torch.manual_seed(0)
    model = pf.Diffusion.for_data(
        data, process=marked if kind == "sets" else molecule_process(data.x)
    )
    settings: Any = {"batch_size": 16, "steps": 6, "checkpoint_every": 2, "log_every": 1}
    return pf.fit(model, data, out=out, progress=False, **settings, **more).model


KILLED = textwrap.dedent(
    """
    import os, signal, sys
    from pathlib import Path
    import torch
    torch.set_num_threads(1)
    from tests.models.test_sets import trained

    class Kill:
        def log(self, step, metrics):
            if step == 5:
                os.kill(os.getpid(), signal.SIGKILL)

        def close(self):
            pass

    trained(sys.argv[1], Path(sys.argv[2]), trackers=(Kill(),))
    """
)


@pytest.mark.parametrize("kind", ["sets", "molecules"])
def test_a_killed_training_goes_on_to_the_same(kind: str, tmp_path: Path, forked: Any) -> None:
    whole = trained(kind, tmp_path / "whole")
    killed = forked.run("-c", KILLED, kind, tmp_path / "parts")
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    assert pf.load(tmp_path / "parts", checkpoint="last").holds.step == 4
    parts = trained(kind, tmp_path / "parts", resume=True)
    for name, value in whole.state_dict().items():
        assert torch.equal(value, parts.state_dict()[name]), name
    drawn = [m.sample(5, steps=3, seed=0) for m in (whole, pf.load(tmp_path / "parts"))]
    assert all(torch.equal(a, b) for a, b in zip(*drawn, strict=True))
