"""Signs in ASCII: whatever the text, what comes out can be written."""

import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from decoct.core.signs import SPELT, spelt, tolerate


@given(st.text())
def test_all_text_becomes_ascii_and_ascii_stays(text):
    assert spelt(text).isascii()
    assert spelt(spelt(text)) == spelt(text)


@given(st.text(st.characters(max_codepoint=127)))
def test_what_is_ascii_stays_as_it_is(text):
    assert spelt(text) == text


@pytest.mark.parametrize(
    ("text", "plain"),
    [
        ("−1.4 … ± 0.3", "-1.4 ... +- 0.3"),
        ("8 × 8, ≤ 3, µ", "8 x 8, <= 3, u"),
        ("café Ångström", "cafe Angstrom"),
        ("herding†", "herding+"),
        ("手書き", "???"),
    ],
)
def test_signs_are_spelt_and_letters_lose_their_accents(text, plain):
    assert spelt(text) == plain


def test_every_spelling_is_ascii():
    assert all(len(sign) == 1 and not sign.isascii() and plain.isascii() for sign, plain in SPELT.items())


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "cp437"])
def test_a_stream_writes_what_its_encoding_lacks_and_keeps_what_it_has(encoding):
    raw = io.BytesIO()
    stream = io.TextIOWrapper(raw, encoding=encoding)
    with pytest.raises(UnicodeEncodeError):
        stream.write("手…")
        stream.flush()
    tolerate(stream)
    stream.write("±手… é")
    stream.flush()
    kept = {"ascii": "+-?... e", "latin-1": "±?... é", "cp437": "±?... é"}[encoding]
    assert raw.getvalue().decode(encoding) == kept


def test_streams_of_unicode_and_things_that_are_no_files_stay():
    raw = io.BytesIO()
    stream = io.TextIOWrapper(raw, encoding="utf-8")
    tolerate(stream, None, io.StringIO())
    assert stream.errors == "strict"
    stream.write("手…")
    stream.flush()
    assert raw.getvalue().decode("utf-8") == "手…"
