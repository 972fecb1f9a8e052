"""QM9 as it was published: its parts, its ceiling, and what is said where it is not there."""

from __future__ import annotations

import importlib.util

import numpy as np
import pytest

from pushforward.errors import InputError, MissingExtraError
from pushforward.molecules import QM9_ELEMENTS, qm9, read_qm9, stable_atoms


@pytest.fixture(autouse=True)
def unread() -> None:
    qm9._read.cache_clear()


needs_qm9 = pytest.mark.skipif(
    importlib.util.find_spec("qm9pack") is None, reason="qm9pack is not installed (104 MB)"
)


def test_what_installs_it_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(qm9, "find_spec", lambda name: None)
    with pytest.raises(MissingExtraError, match=r"pip install 'pushforward\[qm9\]'"):
        read_qm9("test")


def test_other_files_are_refused(monkeypatch: pytest.MonkeyPatch, tmp_path) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "qm9_part1.csv").write_text("SMILES,Elements,XYZ_Ang\n")
    spec = importlib.util.spec_from_file_location("qm9pack", tmp_path / "__init__.py")
    monkeypatch.setattr(qm9, "find_spec", lambda name: spec)
    with pytest.raises(InputError, match=r"qm9_part1.csv has the sha256"):
        read_qm9("test")
    (tmp_path / "data" / "qm9_part1.csv").unlink()
    with pytest.raises(InputError, match="cannot be read"):
        read_qm9("test")


def test_the_parts_share_no_molecule_and_leave_none_out() -> None:
    parts = [qm9._rows(part) for part in ("train", "validation", "test")]
    assert [len(part) for part in parts] == [100_000, 17_748, 13_083]
    assert (np.sort(np.concatenate(parts)) == np.arange(130_831)).all()
    with pytest.raises(InputError, match="parts train, validation, test and all"):
        read_qm9("half")  # type: ignore[arg-type]


@needs_qm9
def test_the_distance_rule_has_its_published_ceiling() -> None:
    found = read_qm9("test")
    assert len(found.smiles) == 13_083
    stable, number = stable_atoms(found.atoms, QM9_ELEMENTS), found.atoms.number
    assert round(100 * float(stable.sum() / number.sum()), 2) == 99.34
    assert round(100 * float((stable.sum(1) == number).double().mean()), 2) == 95.22
    assert float((found.atoms.positions.sum(1).abs()).max()) < 1e-4
