"""Networks that read texts: what words may change, and what the absence of them means."""

from __future__ import annotations

import math

import pytest
import torch
from torch import nn

import pushforward as pf
from pushforward.condition import Condition
from pushforward.errors import InputError
from pushforward.guidance import ClassifierFree
from pushforward.nn import CrossAttention, DiT, TextEncoder, UNet, default_network
from pushforward.vocabulary import Vocabulary

WORDS = ("a", "circle", "green", "red", "square")
TEXTS = ["a red square", "a circle", ""]


def encoder(**options: int) -> TextEncoder:
    return TextEncoder(WORDS, 4, **{"width": 16, "depth": 2, "heads": 2, **options})


NETWORKS = {
    "unet": lambda: UNet(3, width=8, blocks=1, encoder=encoder()),
    "unet of one level": lambda: UNet(3, width=8, multipliers=(1,), blocks=1, encoder=encoder()),
    "unet of patches": lambda: UNet(3, width=8, blocks=1, patch=2, encoder=encoder()),
    "dit": lambda: DiT(3, width=16, depth=2, heads=2, encoder=encoder()),
}


def awake(net: nn.Module) -> nn.Module:
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for parameter in net.parameters():
            parameter.copy_(0.3 * torch.randn(parameter.shape, generator=generator))
    return net.eval()


def inputs(batch: int = 3, side: int = 9) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    return torch.randn(batch, 3, side, side, generator=generator), torch.full((batch,), 0.4)


# -- words --------------------------------------------------------------------------------------


def test_words_know_their_neighbors_before_any_attention() -> None:
    net = encoder(depth=1).eval()
    with torch.no_grad():
        net.layers[0].self_attn.out_proj.weight.zero_()
    read = ["red circle green square", "green circle green square", "green circle a square"]
    vectors, _ = net(net.vocabulary.encode(read))
    change = (vectors[:, None] - vectors).norm(dim=-1)
    # A word and those beside it, and none beyond.
    assert (change[0, 1] > 1e-3).tolist() == [True, True, False, False]
    assert (change[1, 2] > 1e-3).tolist() == [False, True, True, True]
    # As much as its own place does, not less: a color is no detail.
    assert change[0, 1, 1] > 0.1 * vectors[0, 1].norm()


def test_words_that_are_not_there_have_no_neighbors() -> None:
    short, long = encoder(), TextEncoder(WORDS, 6, width=16, depth=2, heads=2)
    weights = short.state_dict()
    weights["places"] = torch.cat([weights["places"], torch.ones(2, 16)])
    long.load_state_dict(weights)
    for text in TEXTS:
        few, more = (net.eval()(net.vocabulary.encode([text]))[0] for net in (short, long))
        assert torch.allclose(few, more[:, :4], atol=1e-5)


# -- attention ----------------------------------------------------------------------------------


def test_cross_attention_is_the_formula() -> None:
    layer = awake(CrossAttention(6, 4)).double()
    x, context = torch.randn(2, 5, 6).double(), torch.randn(2, 3, 4).double()
    mask = torch.tensor([[True, True, True], [True, False, False]])
    where = torch.randn(5, 6).double()
    found = layer(x, context, mask, where)
    q = layer.query(layer.norm(x) + where)
    full = torch.cat([layer.nothing.expand(2, 1, 4), context], 1)
    k, v = layer.pairs(full).chunk(2, -1)
    scores = q @ k.mT / math.sqrt(6)
    there = torch.cat([torch.ones(2, 1, dtype=torch.bool), mask], 1)[:, None]
    weights = scores.masked_fill(~there, -math.inf).softmax(-1)
    assert torch.allclose(found, x + layer.out(weights @ v), atol=1e-12)


def test_heads_attend_apart() -> None:
    # Two heads are two layers of one head on halves of queries, keys and values.
    layer = awake(CrossAttention(4, 4, heads=2))
    x, context, mask = torch.randn(1, 3, 4), torch.randn(1, 2, 4), torch.ones(1, 2).bool()
    q = layer.query(layer.norm(x))
    k, v = layer.pairs(torch.cat([layer.nothing, context], 1)).chunk(2, -1)
    parts = [
        (q[..., cut] @ k[..., cut].mT / math.sqrt(2)).softmax(-1) @ v[..., cut]
        for cut in (slice(0, 2), slice(2, 4))
    ]
    assert torch.allclose(layer(x, context, mask), x + layer.out(torch.cat(parts, -1)), atol=1e-5)


def test_a_new_layer_is_the_identity_and_an_empty_context_is_finite() -> None:
    layer = CrossAttention(8, 4, heads=2)
    x, context, mask = torch.randn(2, 5, 8), torch.randn(2, 3, 4), torch.zeros(2, 3).bool()
    assert torch.equal(layer(x, context, mask), x)
    assert awake(layer)(x, context, mask).isfinite().all()


# -- the encoder --------------------------------------------------------------------------------


def test_words_hear_of_each_other_but_not_of_what_is_not_there() -> None:
    net = awake(encoder())
    one, mask = net(net.vocabulary.encode(["a red square"]))
    other, _ = net(net.vocabulary.encode(["a green square"]))
    assert mask.tolist() == [[True, True, True, False]]
    assert not torch.allclose(one[0, 0], other[0, 0], atol=1e-3)
    longer = awake(TextEncoder(WORDS, 4, width=16, depth=2, heads=2))
    padded, _ = longer(torch.tensor([[0, 3, 4, -1]]))
    assert torch.allclose(padded, one, atol=1e-6)
    assert not padded[0, 3].any()


def test_the_order_of_words_matters() -> None:
    net = awake(encoder())
    one, _ = net(net.vocabulary.encode(["red square green circle"]))
    other, _ = net(net.vocabulary.encode(["green square red circle"]))
    assert not torch.allclose(one.mean(1), other.mean(1), atol=1e-3)


def test_a_text_does_not_depend_on_its_batch() -> None:
    net = awake(encoder())
    tokens = net.vocabulary.encode(TEXTS)
    together = net(tokens)[0]
    apart = torch.cat([net(tokens[k : k + 1])[0] for k in range(3)])
    assert torch.allclose(together, apart, atol=1e-5)


# -- networks of pictures -----------------------------------------------------------------------


@pytest.mark.parametrize("name", NETWORKS)
def test_pictures_hear_of_every_word(name: str) -> None:
    net = awake(NETWORKS[name]())
    x, t = inputs()
    texts = ["a red square", "a green square", "square red a"]
    found = net(x[:1].expand(3, -1, -1, -1), t, encoder().vocabulary.encode(texts))
    assert not torch.allclose(found[0], found[1], atol=1e-3)
    assert not torch.allclose(found[0], found[2], atol=1e-3)
    net(x, t, encoder().vocabulary.encode(texts)).square().sum().backward()
    silent = [key for key, p in net.named_parameters() if p.grad is None or not p.grad.any()]
    assert silent == []


@pytest.mark.parametrize("name", NETWORKS)
def test_no_text_is_an_empty_text(name: str) -> None:
    net = awake(NETWORKS[name]())
    x, t = inputs()
    empty = torch.full((3, 4), -1)
    assert torch.allclose(net(x, t), net(x, t, empty), atol=1e-5)
    one, each = net(x, torch.tensor(0.4), empty), net(x, t, empty)
    assert torch.allclose(one, each, atol=1e-5)


@pytest.mark.parametrize("name", NETWORKS)
def test_a_new_network_predicts_zero(name: str) -> None:
    x, t = inputs()
    found = NETWORKS[name]()(x, t, encoder().vocabulary.encode(TEXTS))
    assert torch.equal(found, torch.zeros_like(x))


def test_patches_are_squares_of_pixels() -> None:
    # A network of patches is one of fewer pixels with more channels.
    net = awake(UNet(3, width=8, blocks=1, patch=2))
    inner = awake(UNet(12, width=8, blocks=1))
    inner.load_state_dict(net.state_dict())
    x, t = inputs(side=8)
    small = nn.functional.pixel_unshuffle(x, 2)
    assert torch.allclose(net(x, t), nn.functional.pixel_shuffle(inner(small, t), 2), atol=1e-5)


def test_labels_beside_texts_are_refused() -> None:
    with pytest.raises(InputError, match="labels, a context or the sequences of an encoder"):
        UNet(3, width=8, num_classes=3, encoder=encoder())
    with pytest.raises(InputError, match="the width of the encoder"):
        DiT(3, width=16, heads=2, encoder=nn.Linear(2, 2))


def test_the_default_network_of_captions_reads_them() -> None:
    net = default_network((3, 32, 32), vocabulary=Vocabulary(WORDS, 4))
    assert isinstance(net, UNet)
    assert net.patch == 2
    assert Condition.of(net).vocabulary == Vocabulary(WORDS, 4)
    with pytest.raises(InputError, match="texts are for pictures"):
        default_network((5,), vocabulary=Vocabulary(WORDS, 4))


# -- the condition ------------------------------------------------------------------------------


def test_a_fraction_of_the_texts_is_hidden() -> None:
    condition = Condition(vocabulary=Vocabulary(WORDS, 4), dropout=0.3)
    tokens = condition.rows("a red square", 4000, torch.device("cpu"))
    hidden = condition.hidden(tokens, torch.Generator().manual_seed(0))
    gone = (hidden == -1).all(1)
    assert float(gone.float().mean()) == pytest.approx(0.3, abs=4 * math.sqrt(0.21 / 4000))
    assert torch.equal(hidden[~gone], tokens[~gone])


def test_sequences_of_numbers_are_hidden_whole() -> None:
    condition = Condition(context_size=2, dropout=0.5)
    hidden = condition.hidden(torch.ones(200, 3, 2), torch.Generator().manual_seed(0))
    gone = hidden.isnan()
    assert torch.equal(gone.all((1, 2)), gone.any(2).any(1))


def test_texts_are_guided_away_from_none() -> None:
    def model(x, t, c=None):
        return x + torch.where(c < 0, 3.0, 10.0 * c).sum(1, keepdim=True)

    x, c = torch.zeros(2, 1), torch.tensor([[0, 1], [2, 3]])
    wanted = 6 + 4 * (10.0 * c.sum(1, keepdim=True) - 6)
    assert torch.allclose(ClassifierFree(model, 4.0)(x, 0.5, c), wanted)


def test_a_model_of_texts_samples_saves_and_loads(tmp_path) -> None:
    data = pf.data.load("scenes", n=24, size=8)
    net = UNet(3, width=8, blocks=1, encoder=TextEncoder(**vars(data.vocabulary), width=8, heads=2))
    run = pf.fit(pf.Diffusion(net), data, steps=3, batch_size=8, progress=False, device="cpu")
    awake(run.model).save(tmp_path)
    assert "triangle" in (tmp_path / "config.yaml").read_text()
    again = pf.load(tmp_path)
    assert again.condition.vocabulary == data.vocabulary
    options = {"steps": 3, "seed": 0, "guidance": 2.0}
    texts = ["a red circle", "a small blue square above a red circle"]
    found = run.model.sample(2, texts, **options)
    assert torch.equal(found, again.sample(2, texts, **options))
    assert not torch.allclose(found, again.sample(2, "a green triangle", **options))
    # A row is the same in any batch.
    assert torch.allclose(found, again.sample(2, texts, batch_size=1, **options), atol=1e-3)
    with pytest.raises(InputError, match="'purple' in 'a purple square'"):
        again.sample(2, "a purple square", steps=3)
    with pytest.raises(InputError, match=r"has no captions: make its encoder of data\.vocabulary"):
        pf.fit(again, pf.data.load("scenes", n=8, size=8, label=False), steps=1, progress=False)
    assert again.log_prob(data.x[:2], data.c[:2], steps=4, seed=0).value.isfinite().all()
