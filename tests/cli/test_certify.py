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
    # `sample` draws with labels here, and the certificate is of none.
    told = call("certify", trained, "--steps", 12)
    assert "drawn without the label" in told.out
    assert "pushforward sample" not in told.out
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
        assert found.out == ""
