"""Show `>>>` examples in docstrings as code; the tests run them where they stand."""

from __future__ import annotations

from typing import Any

import griffe


def fence(text: str) -> str:
    """Docstring text with a `pycon` fence around each example.

    An example goes from a line that starts with `>>>` to the next blank line.

    >>> print(fence("One:\\n\\n>>> 1\\n1"))
    One:
    <BLANKLINE>
    ```pycon
    >>> 1
    1
    ```
    """
    lines: list[str] = []
    indent = None
    for line in [*text.splitlines(), ""]:
        if indent is None and line.lstrip().startswith(">>>"):
            indent = line[: len(line) - len(line.lstrip())]
            lines.append(f"{indent}```pycon")
        elif indent is not None and not line.strip():
            lines.append(f"{indent}```")
            indent = None
        lines.append(line)
    return "\n".join(lines[:-1])


class Examples(griffe.Extension):
    """Fence the examples of every docstring that is read."""

    def on_instance(self, *, obj: griffe.Object, **kwargs: Any) -> None:
        """Called once for each module, class, function and attribute."""
        if obj.docstring is not None:
            obj.docstring.value = fence(obj.docstring.value)
