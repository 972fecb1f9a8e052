"""Molecules from a user's file: train, sample into the kind of file that they came in, evaluate."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from tests.metrics.test_molecules import ELEMENTS, molecules

import pushforward as pf
from pushforward.cli import main
from pushforward.molecules import parse_sdf, parse_xyz, sdf_text, with_bonds
from pushforward.report import molecule_judging


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a file of molecules and a run that was trained on it."""
    path = tmp_path_factory.mktemp("molecules")
    (path / "few.sdf").write_text(sdf_text(with_bonds(molecules(220, 0), ELEMENTS)))
    words = ["train", str(path / "few.sdf"), "--out", str(path / "run"), "--steps", "4"]
    words += ["--batch-size", "8", "model.net.class=equivariant-sets", "model.net.width=8"]
    with pytest.raises(SystemExit) as end:
        main(words)
    assert not end.value.code
    return path


def test_a_run_knows_its_elements_and_sizes(folder: Path) -> None:
    model = pf.load(folder / "run")
    assert model.event_shape == ((5, 7), (5,))
    assert model.process.space == pf.spaces.PointCloud(center=3)
    sizes = torch.tensor(model.process.sizes)
    assert sizes[[0, 1]].tolist() == [0.0, 0.0]
    assert float(sizes.sum()) == pytest.approx(1.0)
    # In Ångström: molecules are not standardized.
    assert bool((model.units.scale == 1).all())


@pytest.mark.parametrize("suffix", [".sdf", ".xyz", ".npz"])
def test_samples_go_back_to_files(folder: Path, call, suffix: str) -> None:
    out = folder / f"new{suffix}"
    assert call("sample", folder / "run", "-n", "6", "--steps", "3", "--out", out).code == 0
    if suffix == ".npz":
        assert len(pf.data.load(out, space=pf.spaces.PointCloud(center=3))) == 6
        return
    # After four steps atoms may overlap, with which `data.load` would not be content.
    parse = parse_sdf if suffix == ".sdf" else parse_xyz
    found = list(parse(out.read_text(), str(out)))
    assert len(found) == 6
    assert {symbol for molecule in found for symbol in molecule.symbols} <= set(ELEMENTS)


def test_molecules_are_told_how_many_atoms_of_an_element_they_have(folder: Path, call) -> None:
    """The size is inferred, and what was told is written beside the molecules."""
    words = ("--given", "O", "--steps", "3", "--batch-size", "8", "model.net.width=8")
    kind = ("model.net.class=equivariant-sets",)
    done = call("train", folder / "few.sdf", *words, *kind, "--out", folder / "told")
    assert done.code == 0, done.err
    process = pf.load(folder / "told").process
    assert isinstance(process, pf.processes.JumpDiffusion)
    assert process.space == pf.spaces.PointCloud(center=3, kinds=(len(ELEMENTS),))
    out, asked = folder / "told.sdf", ("--given", "O=1", "-n", "4", "--steps", "3")
    done = call("sample", folder / "told", *asked, "--out", out)
    assert done.code == 0, done.err
    found = list(parse_sdf(out.read_text(), str(out)))
    assert [molecule.items for molecule in found] == [{"O": "1"}] * len(found)
    # The file is read again with what it was told, and other names are refused.
    assert call("logprob", folder / "told", folder / "few.sdf", "-n", "2").code == 0
    done = call("train", folder / "few.sdf", "--given", "Xe", "--out", folder / "x")
    assert "have no 'Xe'" in done.err


def test_other_files_are_refused(folder: Path, call) -> None:
    done = call("sample", folder / "run", "-n", "2", "--steps", "3", "--out", folder / "new.csv")
    assert done.code
    assert "point sets of varying size make no table" in done.err
    done = call("train", folder / "few.sdf", "--model", "vae", "--out", folder / "x")
    assert done.code
    assert "draws no number of atoms" in done.err


def test_evaluation_and_report_show_molecules(
    folder: Path, call, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(molecule_judging, "strain_rows", lambda *sets, seed: ())
    done = call("evaluate", folder / "run", "-n", "25")
    assert done.code == 0, done.err
    assert "stable molecules" in done.out
    page = (folder / "run" / "report.html").read_text(encoding="utf-8")
    assert 'class="molecule-view"' in page
    assert "samples of the model" in page
    # Nothing is loaded from anywhere.
    assert "<script src" not in page
    assert "http" not in page.split('class="molecule-view"')[1].split("</section>")[0]


def test_turned_molecules_have_turned_predictions(folder: Path) -> None:
    model = pf.load(folder / "run").double()
    space = model.process.space
    x = pf.data.load(folder / "few.sdf", space=space).x
    x = space.nearest(x._replace(x=x.x.double()))
    g = torch.Generator().manual_seed(0)
    turn, _ = torch.linalg.qr(torch.randn(3, 3, generator=g, dtype=torch.float64))
    order = torch.randperm(5, generator=g)
    moved = torch.cat([x.x[..., :3] @ turn, x.x[..., 3:]], -1)[:, order]
    t = torch.full((len(x.x),), 0.4, dtype=torch.float64)
    with torch.no_grad():
        plain = model.predictor(x, t)
        other = model.predictor(x._replace(x=moved, mask=x.mask[:, order]), t)
    back = torch.cat([plain[..., :3] @ turn, plain[..., 3:]], -1)[:, order]
    assert (other - back).abs().max() < 1e-5 * plain.abs().max()
    assert plain[..., :3].sum(1).abs().max() < 1e-9
