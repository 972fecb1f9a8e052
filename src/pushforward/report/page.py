"""The page itself: its look, and the sections that it is made of."""

from __future__ import annotations

import html
from collections.abc import Iterable, Sequence

__all__ = ["figure", "page", "section", "table", "warnings_box"]

_STYLE = """
:root { color-scheme: light dark; --ink: #1b1f24; --soft: #5b6470; --paper: #fcfcfb;
  --card: #ffffff; --edge: #dfe2e6; --a: #2a5caa; --b: #c4622d; --good: #2c7a4b; --bad: #b3372f; }
@media (prefers-color-scheme: dark) { :root { --ink: #e6e8eb; --soft: #9aa4b0; --paper: #14171a;
  --card: #1c2024; --edge: #333940; --a: #7aa7ea; --b: #e69a6b; --good: #6cc08b; --bad: #ef8b83; } }
* { box-sizing: border-box; }
body { margin: 0 auto; padding: 2.5rem 1.25rem 4rem; background: var(--paper);
  color: var(--ink); font: 16px/1.55 system-ui, -apple-system, "Segoe UI", sans-serif; }
h1 { font-size: 1.9rem; line-height: 1.2; margin: 0 0 .25rem; letter-spacing: -.01em; }
h2 { font-size: 1.15rem; margin: 0 0 .6rem; }
p { margin: .3rem 0 .8rem; } .lead, figcaption, .note { color: var(--soft); }
section { background: var(--card); border: 1px solid var(--edge); border-radius: 10px;
  padding: 1.2rem 1.4rem 1.3rem; margin-top: 1.2rem; }
.status { display: inline-block; border-radius: 99px; padding: .05rem .7rem; font-size: .85rem;
  font-weight: 600; color: #fff; background: var(--good); vertical-align: middle; }
.status.bad { background: var(--bad); }
@media (prefers-color-scheme: dark) { .status { color: #111; } }
.facts { display: flex; flex-wrap: wrap; gap: .3rem 1.6rem; margin: .8rem 0 0; padding: 0; }
.facts div { font-size: .92rem; } .facts b { font-weight: 600; }
.pair { display: grid; grid-template-columns: repeat(auto-fit, minmax(280px, 1fr)); gap: 1.2rem; }
.pair.wide { grid-template-columns: repeat(auto-fit, minmax(min(560px, 100%), 1fr)); }
.strip { display: grid; grid-template-columns: repeat(auto-fit, minmax(96px, 1fr)); gap: .6rem; }
figure { margin: 0; } figcaption { font-size: .85rem; margin-top: .3rem; text-align: center; }
figure img { width: 100%; display: block; border-radius: 4px; image-rendering: pixelated;
  background: #fff; } figure.smooth img { image-rendering: auto; }
svg { width: 100%; height: auto; } svg text { fill: var(--soft); font-size: 12px; }
.grid { stroke: var(--edge); } .line { fill: none; stroke-width: 1.8; stroke-linejoin: round; }
.s0 { stroke: var(--a); } .s1 { stroke: var(--b); } .s2 { stroke: var(--soft); }
.s3 { stroke: var(--good); } .s4 { stroke: #8a4fa3; } .s5 { stroke: var(--bad); }
.s6 { stroke: #b58900; }
.interval { width: 150px; display: block; } .interval line { stroke-width: 2; }
line.value { stroke: var(--a); } circle.value { fill: var(--a); }
line.floor { stroke: var(--b); } circle.floor { fill: var(--b); }
.key::before { content: "●"; margin-right: .3em; } .key.value { color: var(--a); }
.key.floor { color: var(--b); }
.scroll { overflow-x: auto; } table { border-collapse: collapse; width: 100%; font-size: .93rem; }
th, td { text-align: left; padding: .4rem .8rem .4rem 0; border-top: 1px solid var(--edge);
  vertical-align: middle; } th { color: var(--soft); font-weight: 500; border-top: 0; }
td.number { font-variant-numeric: tabular-nums; white-space: nowrap; }
td .note { white-space: normal; } @media (max-width: 640px) { td .note { display: none; } }
.warnings { border-left: 4px solid var(--b); } .warnings li { margin: .25rem 0; }
pre { overflow-x: auto; font: .83rem/1.5 ui-monospace, Menlo, Consolas, monospace; margin: 0; }
pre.excerpt { white-space: pre-wrap; overflow-wrap: anywhere; padding: .5rem 0;
  border-top: 1px solid var(--edge); }
details summary { cursor: pointer; color: var(--soft); margin-top: .7rem; }
@media print { body { max-width: none !important; padding: 0; } section { break-inside: avoid; } }
"""


def page(title: str, body: Iterable[str], width: int = 980) -> str:
    """A complete document, at most so many pixels wide, that loads nothing from anywhere."""
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{html.escape(title)}</title><style>{_STYLE}</style></head>"
        f'<body style="max-width:{width}px">{"".join(body)}</body></html>\n'
    )


def section(title: str, body: str, note: str = "") -> str:
    """A card with a heading; `body` is HTML, the rest is text."""
    lead = f'<p class="lead">{html.escape(note)}</p>' if note else ""
    return f"<section><h2>{html.escape(title)}</h2>{lead}{body}</section>"


def figure(uri: str, caption: str, *, smooth: bool = False) -> str:
    """A picture with a caption, which is also its alternative text.

    >>> figure("data:,", "8 < 9")
    '<figure><img src="data:," alt="8 &lt; 9"><figcaption>8 &lt; 9</figcaption></figure>'
    """
    text = html.escape(caption, quote=True)
    kind = ' class="smooth"' if smooth else ""
    return f'<figure{kind}><img src="{uri}" alt="{text}"><figcaption>{text}</figcaption></figure>'


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table; the cells are HTML, the head is text."""
    top = "".join(f"<th>{html.escape(cell)}</th>" for cell in head)
    body = "".join(
        "<tr>" + "".join(f'<td class="number">{cell}</td>' for cell in row) + "</tr>"
        for row in rows
    )
    return f'<div class="scroll"><table><tr>{top}</tr>{body}</table></div>'


def warnings_box(messages: Sequence[str]) -> str:
    """Warnings in plain words; nothing if there are none."""
    if not messages:
        return ""
    items = "".join(f"<li>{html.escape(message)}</li>" for message in messages)
    return f'<section class="warnings"><h2>Read this first</h2><ul>{items}</ul></section>'
