"""The section beyond accuracy: what stands in its tables and figures."""

from tests.report.conftest import SD

from decoct.report.page import beyond
from decoct.report.page.style import marks
from decoct.report.write import write_report


def written(builder, **changes):
    for key, value in changes.items():
        setattr(builder, key, value)
    summary = write_report(builder.build())
    return summary, str(beyond.beyond(summary, marks(summary.methods)))


def test_the_words_are_in_the_first_table_and_what_random_gives_in_the_last_column(builder):
    summary, html = written(builder, shift=lambda method, metric, e: 20 * SD * (method == "rded"))
    assert html.count('title="better"') == 2 * 3 and html.count('title="worse"') == 2  # mmd, where lower is better
    assert "0.310</span>" in html or "0.310<small>" in html
    assert "20 random subsets" in html
    assert summary.to_json()["beside_random"][0].startswith("herding beside random")
    words = {(m["method"], m["metric"], m["budget"]): m["word"] for m in summary.to_json()["metrics"]}
    assert words["rded", "coverage", "ipc=10"] == "better" and words["random", "coverage", "ipc=10"] is None


def test_a_run_of_before_has_its_values_and_no_random_sets(builder):
    _, html = written(builder, draws=0)
    assert "no random subsets" in html and "random sets</th>" in html and 'class="sign' not in html


def test_names_stay_text(builder):
    evil = '<img src=x onerror="alert(1)">'
    _, html = written(builder, extractors=(evil,))
    assert evil not in html and "&lt;img src=x" in html


def test_means_over_some_of_the_classes_are_said_to_be(builder):
    assert "over the classes that a set has images of" not in written(builder)[1]
    builder.folder, builder.jobs, builder.class_names = builder.folder / "more", [], tuple("0123456789ab")
    assert "over the classes that a set has images of" in written(builder)[1]
