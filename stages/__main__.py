"""stages: the programs of the pipeline, each run as ``python -m stages.VERB``; ``--help`` behind one says more."""

import argparse
import ast
from collections.abc import Iterator
from pathlib import Path

from morphstream.cli.options import Parser
from stages.program import common_help, common_options

HERE = Path(__file__).parent


def main() -> None:
    """Print the help."""
    programs = "\n".join(f"  {name:10}{text}" for name, text in sorted(programs_of(HERE)))
    parser = Parser(prog="python -m stages", description=__doc__, epilog=f"programs:\n{programs}\n\n{common_help()}")
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    common_options().parse_known_args()  # --version
    parser.parse_args()
    parser.print_help()


def programs_of(folder: Path) -> Iterator[tuple[str, str]]:
    """Yield each program of a package of programs, with the first line of its text, none of them imported."""
    for path in (*folder.glob("*.py"), *folder.glob("*/__main__.py")):
        name, text = path.parent.name if path.name == "__main__.py" else path.stem, path.read_text("utf-8")
        if path != folder / "__main__.py" and '\nif __name__ == "__main__":' in text:
            yield name, (ast.get_docstring(ast.parse(text)) or "").partition(": ")[2].partition("\n")[0]


if __name__ == "__main__":
    main()
