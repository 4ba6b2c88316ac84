"""`paygate new-provider`: a provider's whole package, written from a template, about a PG that does not exist.

It keeps the contract as it is written; what it says about a real PG is for its author to find out.
"""

from __future__ import annotations

import json
import re
from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path

import click

_NAME = re.compile(r"[a-z][a-z0-9]*(-[a-z0-9]+)*")
_LONGEST = 30
_ENDING = ".jinja"


@click.command()
@click.argument("name")
@click.option("--title", help="What people call the PG; NAME with capitals where it is not given.")
@click.option("--into", type=click.Path(path_type=Path, file_okay=False), default=Path(),
              help="The folder in which paygate-NAME is made; the current one where it is not given.")
def command(name: str, title: str | None, into: Path) -> None:
    """Write a package for a new provider NAME, such as `acme` or `acme-cards`.

    Nothing that is there is written over. Exit 2 where paygate-NAME exists already.
    """
    try:
        import jinja2
    except ModuleNotFoundError:
        raise click.ClickException("new-provider needs jinja2: pip install 'paygate-core[cli]'") from None
    if not _NAME.fullmatch(name) or len(name) > _LONGEST:
        raise click.UsageError("NAME is small letters, digits and single hyphens between them, such as acme-cards")
    words = {**named(name, title), "core": _core()}
    folder = into / words["distribution"]
    if folder.exists():
        raise click.UsageError(f"{folder} is there already")
    # Python and TOML come out, no HTML; what goes in is checked above.
    environment = jinja2.Environment(undefined=jinja2.StrictUndefined, keep_trailing_newline=True)  # noqa: S701
    template = files("paygate.cli") / "provider_template"
    for path, text in sorted(_template(template, "", words["package"])):
        text, file = environment.from_string(text).render(words), folder / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text, encoding="utf-8", newline="\n")
        click.echo(f"wrote {file}")
    click.echo(f"\nNext:\n\n    cd {folder}\n    pip install --editable '.[dev]'\n    python -m pytest -q\n"
               f"    paygate contract {name}\n\n"
               f"It keeps the contract of a PG that does not exist; README.md lists what is left to do.")


def named(name: str, title: str | None) -> dict[str, str]:
    """What the template calls a provider of that name.

    Raises: UsageError for a title that is no line of plain text.
    """
    title = name.replace("-", " ").title() if title is None else title
    if not title.strip() or not title.isprintable() or set(title) & set('"\\{}') or len(title) > 80:
        raise click.UsageError("--title is one line of text, without quotation marks, backslashes and braces")
    word = "".join(part[:1].upper() + part[1:] for part in name.split("-"))
    exported = sorted([f"{word}Provider", "Settings", "paygate_providers"])
    return {"name": name, "title": title, "title_word": word, "exported": json.dumps(exported),
            "package": f"paygate_{name.replace('-', '_')}", "distribution": f"paygate-{name}"}


def _core() -> str:
    from importlib.metadata import version

    return version("paygate-core")


def _template(folder: Traversable, under: str, package: str) -> list[tuple[str, str]]:
    """Each file of the template: where it goes, and its text."""
    found: list[tuple[str, str]] = []
    for item in folder.iterdir():
        # No wheel may hold a folder of tests, and some archives leave out what begins with a dot.
        name = {"pkg": package, "github": ".github", "checks": "tests"}.get(item.name, item.name.removesuffix(_ENDING))
        if item.is_dir():
            found += _template(item, f"{under}{name}/", package)
        elif item.name.endswith(_ENDING):
            found.append((f"{under}{name}", item.read_text(encoding="utf-8")))
    return found
