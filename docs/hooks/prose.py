"""The check of prose: phrases that CONTRIBUTING.md lists under Words, sentences that are too long, notes to oneself.

    python docs/hooks/prose.py

It reads README, CONTRIBUTING, the newest section of CHANGELOG, docs/*.md, and the strings and the page of src/decoct,
and prints FILE:LINE: PHRASE → SUGGESTION.
"""

import ast
import re
import sys
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[2]
LONGEST = 45  # words of a sentence
NOTE = "TODO"
CODE = re.compile(r"^[ ]*(```|~~~).*?^[ ]*\1[ ]*$|``[^`]+``|`[^`]+`|\]\([^)\s]+\)|<!--.*?-->", re.MULTILINE | re.DOTALL)
ITEM = re.compile(r"\s*(?:[-*+]|\d+\.)\s")
Hit = tuple[int, str, str]  # line, what is there, what to write


def listed(contributing: str) -> dict[str, str]:
    """Phrases by what to write instead, from the table under Words."""
    rows = re.findall(r"^\| (.+?) \| (.+?) \|$", _words(contributing), re.MULTILINE)
    return {phrase: better for phrases, better in rows if phrases != "not" for phrase in phrases.split(", ")}


def phrases(text: str, words: dict[str, str]) -> Iterator[Hit]:
    """Where listed phrases, or a note, stand in a text; in code they are of no account."""
    plain = CODE.sub(_blank, text)
    for phrase, better in words.items():
        spaced = r"\s+".join(map(re.escape, phrase.split()))
        for found in re.finditer(rf"\b{spaced}\b", plain, re.IGNORECASE):
            yield plain.count("\n", 0, found.start()) + 1, phrase, better
    for number, line in enumerate(text.splitlines(), 1):
        if re.search(rf"\b{NOTE}\b", line):
            yield number, NOTE, "do it, or leave it out"


def long_sentences(markdown: str) -> Iterator[Hit]:
    """Sentences of more than ``LONGEST`` words outside code, tables and headings."""
    paragraph: list[tuple[int, str]] = []
    for number, line in enumerate([*CODE.sub(_blank, markdown).splitlines(), ""], 1):
        prose = line.strip() and not line.startswith(("|", "#", "    ", "!["))
        if paragraph and (not prose or ITEM.match(line)):
            yield from _long(paragraph)
            paragraph = []
        if prose:
            paragraph.append((number, ITEM.sub("", line, count=1) if not paragraph else line))


def strings(source: str) -> Iterator[tuple[int, str]]:
    """Every string of a Python file, with the line on which it begins."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield node.lineno, node.value


def check(root: Path) -> list[str]:
    """All that is to be mended below a folder, a line each."""
    contributing = (root / "CONTRIBUTING.md").read_text("utf-8")
    words = listed(contributing)
    texts = {path: path.read_text("utf-8") for path in (root / "README.md", *sorted((root / "docs").glob("*.md")))}
    table = _words(contributing)
    texts[root / "CONTRIBUTING.md"] = contributing.replace(table, "\n" * table.count("\n"))
    found = [(path, hit) for path, text in texts.items() for hit in (*phrases(text, words), *long_sentences(text))]
    newest = re.match(r".*?^## .*?(?=^## |\Z)", (root / "CHANGELOG.md").read_text("utf-8"), re.MULTILINE | re.DOTALL)
    found += [(root / "CHANGELOG.md", hit) for hit in phrases(newest[0] if newest else "", words)]
    for path in sorted(path for kind in ("py", "html", "css", "js") for path in (root / "src").rglob(f"*.{kind}")):
        text = path.read_text("utf-8")
        for begin, part in strings(text) if path.suffix == ".py" else [(1, text)]:
            found += [(path, (begin + line - 1, *rest)) for line, *rest in phrases(part, words)]
    return [f"{path.relative_to(root)}:{line}: {said} → {better}" for path, (line, said, better) in found]


def _words(contributing: str) -> str:
    """The table, which holds the phrases that it forbids."""
    found = re.search(r"^## Words\n.*?(^\| .*?)(?=^[^|]|\Z)", contributing, re.MULTILINE | re.DOTALL)
    return found[1] if found else ""


def _blank(code: re.Match[str]) -> str:
    return re.sub(r"\S", " ", code[0]) if "\n" in code[0] else f" {'·' * (len(code[0]) - 2)} "


def _long(paragraph: list[tuple[int, str]]) -> Iterator[Hit]:
    placed = [(number, word) for number, line in paragraph for word in line.split()]
    sentence: list[tuple[int, str]] = []
    for number, word in [*placed, (0, ".")]:
        if word != "." or number:
            sentence.append((number, word))
        if re.search(r"[.!?][)*_\"”]*$", word):
            if len(sentence) > LONGEST:
                yield (
                    sentence[0][0],
                    f"{len(sentence)} words from “{' '.join(w for _, w in sentence[:4])} …”",
                    "two sentences",
                )
            sentence = []


if __name__ == "__main__":
    mended = check(ROOT)
    print(*mended, sep="\n", end="\n" if mended else "")
    sys.exit(bool(mended))
