"""`pushforward certify`: a bound in words, as JSON and as a page."""

from __future__ import annotations

import json
import math


def test_a_run_is_certified(call, trained) -> None:
    found = call("certify", trained, "--steps", 12, "--json")
    assert found.code == 0, found.err
    told = json.loads(found.out)
    names = {"prior mismatch", "score error", "discretization", "early stopping"}
    assert set(told["terms"]) == names
    for term in told["terms"].values():
        assert {"value", "stderr", "kind"} <= set(term)
    in_nats = [t["value"] for t in told["terms"].values() if t["unit"] == "nats"]
    assert math.isclose(told["bound"], math.fsum(in_nats), rel_tol=1e-12)
    assert told["sampler"] == "ddpm"
    assert json.loads((trained / "certificate.json").read_text()) == told
    page = (trained / "certificate.html").read_text()
    assert all(name in page for name in names)
    # The same model is no better than itself.
    same = call("certify", trained, "--steps", 12, "--against", trained, "--json")
    assert json.loads(same.out)["difference"]["value"] == 0
    assert told["terms"]["score error"]["interval"][0] >= 0
    # `sample` draws with labels as frequent as in the data, and that is what is certified.
    told = call("certify", trained, "--steps", 12)
    assert "the mean over them, not of any single one" in told.out
    assert f"pushforward sample {trained} --sampler ddpm --steps 12" in told.out
    assert "(--noise), or compare with another model (--against)" in told.out
    # Of one class, too few rows were held out.
    few = call("certify", trained, "--class", "rose")
    assert few.code == 2
    assert "rests on 20 rows" in few.err


def test_samplers_without_a_certificate_are_refused(call, trained) -> None:
    for sampler in ("adams", "ddim", "dpm++2m"):
        found = call("certify", trained, "--sampler", sampler)
        assert found.code == 2
        assert "earns no certificate" in found.err
        assert "probability flow" in found.err
        assert found.err.startswith(f"error: {sampler} earns")
        assert found.out == ""


def test_steps_for_a_target(call, trained) -> None:
    found = call("certify", trained, "--target", 0.5, "--json")
    assert found.code == 0, found.err
    told = json.loads(found.out)
    assert told["prior_mismatch"] + told["discretization"] <= 0.5
    assert f"{told['steps']} steps of ddpm" in call("certify", trained, "--target", 0.5).out


def test_a_run_that_was_told_columns(call, trained, tmp_path) -> None:
    rows = [f"{k % 2},{(k % 2) + 0.1 * (k % 7):.2f},{k / 7:.3f}" for k in range(300)]
    table = tmp_path / "doses.csv"
    table.write_text("\n".join(["arm,response,dose", *rows]) + "\n")
    run = tmp_path / "run"
    words = ("--given", "arm", "--steps", 5, "train.holdout=0.3")
    assert call("train", table, *words, "data.columns=[arm, response]", "--out", run).code == 0
    found = call("certify", run, "--steps", 8, "--json")
    assert found.code == 0, found.err
    assert json.loads(found.out)["rows"] == 90
    # Of one value enough rows were held out; of another none were.
    one = call("certify", run, "--given", "arm=1", "--steps", 8, "--json")
    assert 20 <= json.loads(one.out)["rows"] < 90
    none = call("certify", run, "--given", "arm=0.25")
    assert none.code == 2
    assert "0 of 90 held-out rows have these values" in none.err
    stated = call("certify", run, "--noise", "0.1", "--steps", 8, "--json")
    assert json.loads(stated.out)["terms"]["score error"]["kind"] == "assumed"
    assert "0.1,2" in call("certify", run, "--noise", "much").err
    other = call("certify", run, "--against", trained)
    assert other.code == 2
    assert "not of the same columns" in other.err
