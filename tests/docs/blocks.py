"""Find the code blocks of a page of Markdown.

A block whose first line names a file, as ``yaml title="jobs.yaml"``, is that file. A comment in front of a block says
where it can't run as it is:

* ``<!-- not run: WHY -->``: it isn't run. The options of its commands are still looked up in their help.
* ``<!-- run in a checkout -->``: it is run in a copy of a project that was built, and not beside pictures and a store.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from markdown_it import MarkdownIt

_COMMENT = re.compile(r"<!-- (?:not run: (?P<why>[^>]+)|(?P<checkout>run in a checkout)) -->\s*")
_INFO = re.compile(r'(?P<language>[a-z]*)(?: title="(?P<file>[^"/]+)")?')


@dataclass(frozen=True, slots=True, kw_only=True)
class Block:
    """A code block.

    Attributes:
        line: Where it begins in its page, from 1.
        language: ``python``, ``sh`` or another; empty for none.
        file: The name of the file that it is; empty for none.
        text: Its lines.
        not_run: Why it isn't run; None where it is.
        in_checkout: Whether it is run in a checkout.
    """

    line: int
    language: str
    file: str
    text: str
    not_run: str | None
    in_checkout: bool

    @property
    def is_program(self) -> bool:
        """Whether it is Python that is a file of its own, as what starts processes has to be."""
        return self.language == "python" and "__main__" in self.text

    @property
    def is_quick(self) -> bool:
        """Whether it runs, and starts no process."""
        return self.not_run is None and self.language == "python" and not self.is_program


def blocks_of(page: Path) -> Iterator[Block]:
    """Yield the code blocks of a page, in their order.

    Raises:
        ValueError: A block's first line says something else than a language and a file.
    """
    comment = None
    for token in MarkdownIt().parse(page.read_text("utf-8")):
        if token.type == "fence" and token.map:
            line = token.map[0] + 1
            if not (info := _INFO.fullmatch(token.info.strip())):
                raise ValueError(f'{page}:{line}: expected a language, or it and title="FILE", seen {token.info}')
            yield Block(
                line=line,
                language=info["language"],
                file=info["file"] or "",
                text=token.content,
                not_run=comment["why"] if comment else None,
                in_checkout=bool(comment and comment["checkout"]),
            )
        comment = _COMMENT.fullmatch(token.content) if token.type == "html_block" else None
