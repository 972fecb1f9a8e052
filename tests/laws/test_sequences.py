"""Sequences that grow at either end: all 52 of up to four letters, by enumeration."""

from __future__ import annotations

import itertools
import math
from typing import Any

import pytest
import torch
from tests.laws.test_sets import check_shares
from torch import Tensor
from torch.nn.functional import one_hot

import pushforward as pf
from pushforward import Transport, samplers
from pushforward.errors import CapabilityError, InputError
from pushforward.models import between_sets
from pushforward.processes import JumpDiffusion, Missing, PointMixtures, PointPrediction, Trimming
from pushforward.spaces import MarkedPoints, PointCloud, Points

PLACES, N = 4, 2000
SPACE = PointCloud(kinds=(PLACES, 2))
SEQUENCES: list[tuple[int, tuple[int, ...]]] = [(0, ())] + [
    (first, letters)
    for length in range(1, PLACES + 1)
    for first in range(PLACES - length + 1)
    for letters in itertools.product((0, 1), repeat=length)
]
"""The first place, and letters; the empty one first."""

LENGTHS = torch.tensor([len(letters) for _, letters in SEQUENCES])
LAW = torch.cat([
    torch.tensor([0.1], dtype=torch.float64),
    0.9 * (0.7 * torch.randn(52, generator=torch.Generator().manual_seed(5)).double()).softmax(0),
])  # fmt: skip
"""Place, length and letters depend on each other; one in ten is empty."""

KEYS = torch.full((3**PLACES,), -1)
"""The number of a sequence by its letters, zero where there is none, as digits."""
for _code, (_first, _letters) in enumerate(SEQUENCES):
    KEYS[sum((letter + 1) * 3 ** (_first + j) for j, letter in enumerate(_letters))] = _code


def _codes(x: MarkedPoints) -> Tensor:
    """The numbers of sequences, -1 of what is none."""
    at = one_hot(x.kinds[..., 0], PLACES) * x.mask.unsqueeze(-1)
    assert int(at.sum(1).max()) <= 1, "two elements at one place"
    digits = (at * (x.kinds[..., 1:] + 1)).sum(1)
    return KEYS[digits @ (3 ** torch.arange(PLACES))]


def _sets(codes: Tensor) -> MarkedPoints:
    """Sequences of numbers in slots in disorder, their letters as coordinates -1 and 1 too."""
    x, mask = torch.zeros(len(codes), PLACES, 1), torch.zeros(len(codes), PLACES).bool()
    kinds = torch.zeros(len(codes), PLACES, 2).long()
    for row, code in enumerate(codes.tolist()):
        first, letters = SEQUENCES[code]
        for j, letter in enumerate(letters):
            slot = (3 * j + row) % PLACES
            x[row, slot], mask[row, slot] = 2.0 * letter - 1, True
            kinds[row, slot] = torch.tensor([first + j, letter])
    return MarkedPoints(x, mask, kinds)


def _ways(whole: int, left: int) -> tuple[float, dict[tuple[int, int], float]] | None:
    """The chance of the sides on which a sequence is trimmed to what is left of it, and the
    elements that come back next with the number of deletions for which they stand."""
    (first, letters), (start, part) = SEQUENCES[whole], SEQUENCES[left]
    n, at = len(letters), start - first
    if not part:
        return 1.0, {
            (first + j, letter): n * math.comb(n - 1, j) * 0.5 ** (n - 1)
            for j, letter in enumerate(letters)
        }
    if at < 0 or letters[at : at + len(part)] != part:
        return None
    k, births = n - len(part), {}
    if at:
        births[start - 1, letters[at - 1]] = float(at)
    if k > at:
        births[start + len(part), letters[at + len(part)]] = float(k - at)
    return math.comb(k, at) * 0.5**k, births


def _tables() -> tuple[Tensor, Tensor, Tensor]:
    """Weights by what is left, the number of deletions, and the whole; or the element next."""
    joint = torch.zeros(len(LAW), PLACES + 1, len(LAW)).double()
    following = torch.zeros(len(LAW), PLACES + 1, PLACES * 2).double()
    for left, whole in itertools.product(range(len(LAW)), repeat=2):
        found = _ways(whole, left)
        if found is not None:
            n, k = int(LENGTHS[whole]), int(LENGTHS[whole] - LENGTHS[left])
            weight = float(LAW[whole]) * found[0] * math.comb(n, k)
            joint[left, k, whole] = weight
            for (place, letter), waiting in found[1].items():
                following[left, k, 2 * place + letter] += weight * waiting
    return joint, joint.sum(-1), following


JOINT, COUNTS, FOLLOWING = _tables()


def _exact(process: Any) -> Any:
    """The exact prediction: the posterior of the whole sequence given what is left of it."""
    place, letter = torch.arange(PLACES).repeat_interleave(2), torch.arange(2).repeat(PLACES)

    def model(x_t: MarkedPoints, t: Any, c: Any = None) -> Any:
        left, k, n = _codes(x_t), torch.arange(PLACES + 1), len(x_t.mask)
        alpha = torch.as_tensor(process.clock_of_births.values(t)[0]).double().reshape(-1, 1)
        powers = (1 - alpha) ** k
        counts = COUNTS[left] * powers
        counts = (counts / counts.sum(-1, keepdim=True)).log().float()
        logits = (FOLLOWING[left] * powers.unsqueeze(-1)).sum(1).clamp_min(1e-30).log().float()
        marks = tuple(
            one_hot(own, size).float().clamp_min(1e-30).log().expand(n, -1, -1)
            for own, size in zip((place, letter), SPACE.kinds, strict=True)
        )
        means = (2.0 * letter - 1).reshape(1, -1, 1).expand(n, -1, -1)
        point = PointMixtures(logits, means, torch.full_like(means, math.log(1e-3)), marks)
        missing = Missing(counts, point)
        if not isinstance(process, JumpDiffusion):
            return missing
        # What is there keeps its letter, which tells its coordinate.
        return PointPrediction(missing, (2.0 * x_t.kinds[..., 1:] - 1) * x_t.mask.unsqueeze(-1))

    return model


def _distance(x: MarkedPoints) -> float:
    found = torch.bincount(_codes(x), minlength=len(LAW)) / len(x.mask)
    return float(1 - (found * LAW).sqrt().sum())


def _law_of_draws(n: int, seed: int) -> Tensor:
    g = torch.Generator().manual_seed(seed)
    return torch.multinomial(LAW, n, replacement=True, generator=g)


def test_what_is_left_has_the_law_of_deletions_by_coins() -> None:
    process, t = Trimming(space=SPACE), 0.45
    z = _sets(_law_of_draws(N, 1))
    left = _codes(process.sample(z, t, torch.Generator().manual_seed(0)))
    alpha = float(process.schedule.at(t).alpha)
    k = torch.arange(PLACES + 1)
    exact = (COUNTS * (1 - alpha) ** k).sum(1) * alpha**LENGTHS
    assert float(exact.sum()) == pytest.approx(1)
    check_shares(torch.bincount(left, minlength=len(LAW)) / N, exact, N)


@pytest.mark.parametrize("diffusing", [False, True], ids=["trimming", "jump-diffusion"])
def test_births_at_the_ends_have_the_law_of_the_sequences(diffusing: bool) -> None:
    trimming = Trimming(space=SPACE)
    process: Any = JumpDiffusion(thinning=trimming) if diffusing else trimming
    times = [1.0, 0.7, 0.4, 0.1, 0.01, 1e-3, 0.0] if diffusing else [1.0, 1e-3, 0.0]
    start = process.prior((PLACES, 1)).sample(N)
    assert process.sampler == "birth-clocks"
    transport = Transport(_exact(process), process)
    x = samplers.run(samplers.BirthClocks(), transport, start, times, seed=0)
    check_shares(torch.bincount(_codes(x), minlength=len(LAW)) / N, LAW, N)
    # What an element holds is that of its letter, whenever it was born.
    letters = (2.0 * x.kinds[..., 1] - 1)[x.mask]
    assert float((x.x[..., 0][x.mask] - letters).abs().max()) < 0.01


@pytest.mark.parametrize("rule", ["pinned", "tau-leap"])
def test_other_samplers_come_near_in_short_steps(rule: str) -> None:
    """Elements that are born in one step do not see each other; by leaps one comes in each."""
    process, errors = Trimming(space=SPACE), []
    sampler: Any = pf.registry.resolve("samplers", rule)
    transport = Transport(_exact(process), process)
    for steps in (2, 40):
        times = [0.999 - 0.998 * k / steps for k in range(steps + 1)]
        start, g = process.prior((PLACES, 1)).sample(N), torch.Generator().manual_seed(1)
        x = samplers.run(sampler, transport, start, times, seed=0)
        x = process.finish(transport.model(x, times[-1]), x, times[-1], g)
        found = torch.bincount(_codes(x), minlength=len(LAW)) / N
        errors.append(float(1 - (found * LAW).sqrt().sum()))
    # The floor is 52 / (8 N) = .0033.
    assert errors[1] < 0.008 < 0.015 < errors[0]


def test_the_loss_counts_deletions_behind_the_next_elements() -> None:
    """All that can be left of all sequences: its expectation is least where `k` has its posterior
    and `f` is in proportion to the expected number of deletions behind an element."""
    process, t = Trimming(space=SPACE), 0.6
    pairs = [
        (whole, left, found[1])
        for whole, left in itertools.product(range(len(LAW)), repeat=2)
        if (found := _ways(whole, left)) is not None
    ]
    z = _sets(torch.tensor([whole for whole, _, _ in pairs]))
    kept = torch.zeros_like(z.mask)
    for row, (_, left, _) in enumerate(pairs):
        start, part = SEQUENCES[left]
        place = z.kinds[row, :, 0]
        kept[row] = z.mask[row] & (place >= start) & (place < start + len(part))
    x_t = SPACE.nearest(z._replace(mask=kept))
    assert _codes(x_t).tolist() == [left for _, left, _ in pairs]
    pred = _exact(process)(x_t, t)
    logits = pred.point.logits.log_softmax(-1)
    peak = -math.log(1e-3 * math.sqrt(2 * math.pi))
    by_hand = torch.tensor([
        -float(pred.counts[row, k]) - math.lgamma(k + 1)
        - sum(waiting * (float(logits[row, 2 * place + letter]) + peak)
              for (place, letter), waiting in births.items())
        for row, (whole, left, births) in enumerate(pairs)
        for k in [int(LENGTHS[whole] - LENGTHS[left])]
    ])  # fmt: skip
    assert torch.allclose(process.loss(pred, z, x_t, t), by_hand, atol=1e-3)
    # With motion it is the same, since the exact means cost nothing.
    moving = JumpDiffusion(thinning=process)
    whole = PointPrediction(pred, x_t.x)
    assert torch.allclose(moving.loss(whole, z, x_t, t), by_hand, atol=1e-3)


def test_a_network_that_knows_nothing_grows_at_the_ends() -> None:
    data = pf.data.load(_sets(_law_of_draws(50, 3)), space=SPACE)
    process = JumpDiffusion(thinning=Trimming(), space=SPACE)
    model = pf.Diffusion.for_data(data, process=process)
    model.fit_units(data.x)
    with torch.no_grad():
        for p in model.parameters():
            p.add_(0.2 * torch.randn(p.shape, generator=torch.Generator().manual_seed(0)))
    for sampler in ("birth-clocks", "pinned", "tau-leap"):
        start = {"start": 0.99} if sampler == "tau-leap" else {}
        x = model.sample(60, steps=4, seed=0, sampler=sampler, **start)
        assert int(_codes(x).min()) >= 0
        assert len(x.number.unique()) > 2
    assert bool((model.loss(data.x).detach() < 1e4).all())
    with pytest.raises(CapabilityError, match="log"):
        model.log_prob(data.x)
    with pytest.raises(CapabilityError, match="the first mark of a sequence is the place"):
        model.sample(2, given=[1, 1, 0, 0], sampler="birth-clocks")
    with pytest.raises(CapabilityError, match="makes no third one"):
        between_sets(model, data.x, data.x)


def test_what_are_no_sequences_is_refused() -> None:
    z = _sets(torch.tensor([len(LAW) - 1, 3]))
    process = Trimming(space=SPACE)
    for places in ([0, 1, 1, 2], [0, 1, 3, 3]):
        wrong = z.kinds.clone()
        wrong[0, :, 0] = torch.tensor(places)
        with pytest.raises(InputError, match=r"those of set 0 of a batch are \[0, 1, "):
            process.sample(z._replace(kinds=wrong), 0.5)
    plain = Trimming()
    with pytest.raises(InputError, match="have their place as their first mark"):
        plain.reading()
    with pytest.raises(InputError, match="have their place as their first mark"):
        plain.sample(Points(z.x, z.mask), 0.5)
