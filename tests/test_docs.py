"""The documentation agrees with the code: cited pages, sections and files exist, links resolve, tables are current."""

import os
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from marketprism.ops import docs

ROOT = Path(__file__).parents[1]
SUFFIXES = {".py", ".sql", ".md", ".toml", ".yaml"}
_IGNORED = {ROOT / "data", ROOT / "build", ROOT / "dist", ROOT / "bench" / "out"}

# A page, named by its path from the root, or a section: `docs/protocols/okx.md`, `§3.5`.
_CITATION = re.compile(r"(?P<page>docs/[\w/-]+\.md)|§ ?(?P<section>\d+(?:\.\d+)*)")
_LINK = re.compile(r"\[(?P<text>[^\]]*)\]\((?P<target>[^)\s]+)\)")
_HEADING = re.compile(r"^#+ +(?P<title>(?:(?P<section>\d+(?:\.\d+)*) )?.*?) *$", re.MULTILINE)
_FENCED = re.compile(r"^```.*?^```", re.MULTILINE | re.DOTALL)
_INLINE_CODE = re.compile(r"`[^`\n]*`")
# A file in inline code, named by its path from the root; `<exchange>` stands for any name.
_CODE_PATH = re.compile(r"`(?P<path>[\w.<>-]+(?:/[\w.<>-]+)+\.(?:py|md|sql|toml|yaml))`")


def sections(page: str) -> dict[str, str]:
    """Return the anchor of each numbered heading, by its number."""
    headings = _HEADING.finditer(_FENCED.sub("", page))
    return {heading["section"]: anchor(heading["title"]) for heading in headings if heading["section"]}


def anchors(page: str) -> set[str]:
    """Return the anchors of all headings; a repeated heading gets `-1`, `-2`, … as on GitHub."""
    found: set[str] = set()
    for heading in _HEADING.finditer(_FENCED.sub("", page)):
        first = anchor(heading["title"])
        repeats = sum(known == first or re.fullmatch(re.escape(first) + r"-\d+", known) is not None for known in found)
        found.add(f"{first}-{repeats}" if repeats else first)
    return found


def anchor(title: str) -> str:
    """Return the anchor that GitHub gives a heading."""
    return re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-")


def wrong_citations(root: Path, file: Path) -> Iterator[str]:
    """Report cited pages and sections that do not exist. A section belongs to the page last named in the file.

    In a page itself, sections are its own until another page is named. Links are left to `wrong_links`.
    """
    text = file.read_text()
    if file.suffix == ".md":
        text = _LINK.sub("", _FENCED.sub("", text))
    page = file if file.suffix == ".md" else None
    for citation in _CITATION.finditer(text):
        if citation["page"]:
            page = root / citation["page"]
            if not page.is_file():
                yield f"{file}: there is no page {citation['page']}"
        elif page is None:
            yield f"{file}: §{citation['section']} names no page"
        elif page.is_file() and citation["section"] not in sections(page.read_text()):
            yield f"{file}: {page.name} has no §{citation['section']}"


def wrong_links(file: Path) -> Iterator[str]:
    """Report links to files or headings that do not exist, and links like `[§3.5](…)` that lead to another section."""
    for link in _LINK.finditer(_INLINE_CODE.sub("", _FENCED.sub("", file.read_text()))):
        target, _, fragment = link["target"].partition("#")
        if re.match(r"\w+:", target):
            continue
        page = file.parent / target if target else file
        if not page.exists():
            yield f"{file}: there is no {target}"
            continue
        if not fragment:
            continue
        content = page.read_text()
        if fragment not in anchors(content):
            yield f"{file}: {page.name} has no #{fragment}"
        cited = re.search(r"§(\d+(?:\.\d+)*)", link["text"])
        if cited and sections(content).get(cited[1]) != fragment:
            yield f"{file}: §{cited[1]} is not at {link['target']}"


def missing_files(root: Path, file: Path) -> Iterator[str]:
    """Report files that a page names in inline code and that do not exist."""
    for code in _CODE_PATH.finditer(_FENCED.sub("", file.read_text())):
        if not any(root.glob(re.sub(r"<[^>]+>", "*", code["path"]))):
            yield f"{file}: there is no file {code['path']}"


def _files() -> list[Path]:
    # Hidden directories and results are no part of the repository. This file's made-up pages do not exist.
    found = []
    for folder, folders, names in os.walk(ROOT):
        folders[:] = [each for each in folders if not each.startswith(".") and Path(folder, each) not in _IGNORED]
        found += [Path(folder, name) for name in names]
    return sorted(path for path in found if path.suffix in SUFFIXES and path != Path(__file__).resolve())


def test_every_cited_page_and_section_exists() -> None:
    """Code and documents cite protocol sections: `docs/protocols/okx.md §3.5`."""
    assert not [wrong for file in _files() for wrong in wrong_citations(ROOT, file)]


def test_every_relative_link_resolves() -> None:
    """Links between README and docs resolve, with their anchors."""
    assert not [wrong for file in _files() if file.suffix == ".md" for wrong in wrong_links(file)]


def test_every_named_file_exists() -> None:
    """A file that was moved or renamed is renamed in README and docs, too."""
    assert not [wrong for file in _files() if file.suffix == ".md" for wrong in missing_files(ROOT, file)]


def test_generated_tables_are_current() -> None:
    """The tables of topics, feeds, settings, kinds and channels are those of the registries."""
    for page in docs.PAGES:
        assert page.read_text("utf-8") == docs.rewritten(page), "run `make docs`"


def test_pages_without_markers_are_rejected(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A table whose place is not marked would silently not be written."""
    page = tmp_path / "page.md"
    page.write_text("<!-- topics -->\n<!-- /topics -->\n<!-- feeds -->")
    monkeypatch.setitem(docs.PAGES, page, docs.PAGES[docs.README])
    with pytest.raises(ValueError, match=r"page\.md lacks <!-- feeds -->"):
        docs.rewritten(page)


def test_pages_are_cited_from_the_code() -> None:
    """The check reads the files that it is meant for: each exchange's page is cited by code."""
    code = "".join(file.read_text() for file in _files() if file.suffix == ".py")
    assert all(f"docs/protocols/{exchange}.md §" in code for exchange in ("binance", "okx", "htx", "deribit"))


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """A made-up repository with one page of two sections."""
    (tmp_path / "docs/protocols").mkdir(parents=True)
    (tmp_path / "docs/protocols/acme.md").write_text(
        "# ACME\n\n## 1 ACME spot\n\n```\n# 7 no heading\n```\n\n### 1.2 Order book: `seq`, size\n\n"
        "### Notes\n\n### Notes\n"
    )
    return tmp_path


@pytest.mark.parametrize(
    ("name", "text", "wrong"),
    [
        ("a.py", '"""Book (docs/protocols/acme.md §1, §1.2)."""\n# See §1.2.', 0),
        ("a.py", '"""Book (docs/protocols/acme.md §1.3)."""', 1),
        ("a.py", '"""Book (docs/protocols/acme.md §1, §7)."""', 1),
        ("a.py", '"""Book (docs/protocols/nobody.md §1)."""', 1),
        ("a.py", '"""Book (PROTOCOLS §1.2)."""', 1),
        ("a.py", '"""Book (docs/protocols/acme.md)."""\n# See §2.', 1),
        ("a.sql", "-- docs/protocols/acme.md §1.2\n-- §1.20", 1),
        ("docs/page.md", "As docs/protocols/acme.md §1.2 says.", 0),
        ("docs/page.md", "## 4 Four\n\nSee §4, and §5.", 1),
    ],
)
def test_wrong_citations_are_found(tree: Path, name: str, text: str, wrong: int) -> None:
    """Wrong page, wrong section, section without a page."""
    (tree / name).write_text(text)
    assert len(list(wrong_citations(tree, tree / name))) == wrong


@pytest.mark.parametrize(
    ("text", "wrong"),
    [
        ("[a](protocols/acme.md), [b](protocols/acme.md#12-order-book-seq-size), [c](https://example.org/#x)", 0),
        ("[a](protocols/nobody.md)", 1),
        ("[a](protocols/acme.md#order-book)", 1),
        ("[a](protocols/acme.md#7-no-heading)", 1),
        ("[a](protocols/acme.md#notes), [b](protocols/acme.md#notes-1), [c](protocols/acme.md#notes-2)", 1),
        ("[§1.2](protocols/acme.md#12-order-book-seq-size)", 0),
        ("[§1.2](protocols/acme.md#1-acme-spot)", 1),
        ("# Here\n\n[a](#here), [b](#there)", 1),
        ("`books[0](x)` and\n\n```\n[a](nowhere)\n```", 0),
    ],
)
def test_wrong_links_are_found(tree: Path, text: str, wrong: int) -> None:
    """Missing files, missing headings, a section's link that leads to another."""
    (tree / "docs/page.md").write_text(text)
    assert len(list(wrong_links(tree / "docs/page.md"))) == wrong


@pytest.mark.parametrize(
    ("text", "wrong"),
    [
        ("`docs/protocols/acme.md`, `docs/<page>/<exchange>.md`, `acme.md`, `a/b`", 0),
        ("`docs/protocols/nobody.md` and `docs/nowhere/<exchange>.md`", 2),
        ("`docs/a.py`, `docs/a.sql`, `docs/a.toml`, `docs/a.yaml`", 4),
        ("```\n`docs/nobody.md`\n```", 0),
    ],
)
def test_missing_files_are_found(tree: Path, text: str, wrong: int) -> None:
    """Each file that does not exist is reported, also where a name is left open."""
    (tree / "docs/page.md").write_text(text)
    assert len(list(missing_files(tree, tree / "docs/page.md"))) == wrong
