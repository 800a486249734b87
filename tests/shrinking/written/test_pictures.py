"""Pictures on the page: of problems, of what was kept and left out; as many as there is room for."""

import base64
import io
import re

import numpy as np
import pytest
from PIL import Image
from tests.shrinking.answers import some_problems
from tests.shrinking.pools import make_pool

from decoct.report.page.markup import join
from decoct.shrinking.answer import Problem
from decoct.shrinking.made import Made
from decoct.shrinking.written.pictures import FIRST, MEMBERS, SHOWN, Thumbs, problems, strips


@pytest.fixture
def pool(tmp_path):
    return make_pool(tmp_path, [f"{'ab'[i % 2]}/{i}.png" for i in range(80)], np.arange(80) % 2, ["a", "<b>"])


def decoded(html):
    found = re.findall(r'src="data:image/png;base64,([^"]+)"', str(html))
    return [np.asarray(Image.open(io.BytesIO(base64.b64decode(data)))) for data in found]


def test_a_thumbnail_is_the_image_itself(pool):
    (seen,) = decoded(Thumbs(pool).show(7, "said"))
    np.testing.assert_array_equal(seen, np.moveaxis(pool.images[7], 0, -1))


@pytest.mark.parametrize(("shape", "seen"), [((1, 20, 20), (20, 20)), ((3, 100, 100), (64, 64, 3))])
def test_grey_and_large_images_are_shown_too(tmp_path, shape, seen):
    pool = make_pool(tmp_path, ["1"], [0], ["a", "b"], images=np.full((1, *shape), 9, np.uint8))
    (picture,) = decoded(Thumbs(pool).show(0, "said"))
    assert picture.shape == seen and (picture == 9).all()


def test_pictures_end_where_their_room_does(pool):
    one = Thumbs(pool)
    one.show(0, "")
    used = Thumbs(pool).room - one.room
    thumbs = Thumbs(pool, room=used + 1)
    assert [bool(thumbs.show(0, "")) for _ in range(3)] == [True, True, False]


def test_each_kind_tells_how_many_and_shows_the_worst_with_the_one_that_stays_first(pool):
    found = some_problems(pool)
    html = str(join(problems(found, Thumbs(pool))))
    assert "Near-duplicates: 45 images in 15 groups" in html and "Unreadable files: 1 file" in html
    near = html[html.index("<h3>Near-duplicates") : html.index("<h3>Outliers")]
    assert near[: near.index("<details>")].count("<li>") == FIRST and f"{15 - FIRST} more</summary>" in near
    assert near.count("<li>") == near.count('class="stays"') == near.count("<small> stays</small>") == 15
    worst = [p for p in found if p.kind == "near_duplicates"][-1]
    first = near[: near.index("</li>")]
    assert [first.index(path) for path in worst.paths] == sorted(first.index(path) for path in worst.paths)
    np.testing.assert_array_equal(decoded(first)[0], np.moveaxis(pool.images[worst.rows[0]], 0, -1))


def test_what_is_beyond_the_worst_is_in_the_list(pool):
    found = [Problem("outlier", (k,), (f"{k}.png",), ("a",), "", k) for k in range(30)]
    html = str(join(problems(found, Thumbs(pool))))
    shown = [int(k) for k in re.findall(r"<bdi>(\d+)\.png</bdi>", html)]
    assert shown == list(range(29, 29 - SHOWN, -1)) and f"The {SHOWN} worst are shown; all are in problems.csv" in html


def test_of_a_label_issue_the_given_and_the_suggested_label_are_said(pool):
    html = str(join(problems([Problem("label_issue", (0,), ("a/0.png",), ("a",), "suggested: <b>")], Thumbs(pool))))
    assert "labelled <b><bdi>a</bdi></b> → suggested <b><bdi>&lt;b&gt;</bdi></b>" in html


def test_of_a_leak_the_splits_are_said(tmp_path):
    pool = make_pool(tmp_path, ["1", "2"], [0, 0], ["a", "b"], [0, 2])
    html = str(join(problems([Problem("leak", (0, 1), ("1", "2"), ("a", "a"), "")], Thumbs(pool))))
    assert "<small> train</small>" in html and "<small> test</small>" in html and "stays" not in html


def test_of_a_large_group_only_some_are_pictured(pool):
    rows = tuple(range(0, 40, 2))
    group = Problem("near_duplicates", rows, tuple(pool.paths[r] for r in rows), ("a",) * 20, "")
    html = str(join(problems([group], Thumbs(pool))))
    assert len(decoded(html)) == MEMBERS and "and 16 more" in html


def test_strips_show_kept_in_their_order_and_train_images_that_were_left_out(tmp_path):
    pool = make_pool(tmp_path, [str(i) for i in range(6)], [0, 0, 0, 0, 1, 0], ["a", "b"], [0, 0, 0, 0, 0, 2])
    html = str(strips(pool, np.array([2, 0]), ["a", "a", "b"], Thumbs(pool)))
    shown = decoded(html)
    for seen, row in zip(shown, [2, 0, 1, 3, 4], strict=True):
        np.testing.assert_array_equal(seen, np.moveaxis(pool.images[row], 0, -1))
    assert html.count('class="name"') == 2
    assert 'data-said="in the set: 0"' in html and 'data-said="left out: 2"' in html


def test_a_set_that_was_made_is_shown_beside_the_images_it_is_made_from(pool):
    images = np.random.default_rng(1).integers(0, 256, (3, *pool.images.shape[1:]), dtype=np.uint8)
    html = str(strips(pool, Made(images, np.array([0, 0, 1]), 1.0), ["a", "<b>"], Thumbs(pool)))
    assert 'data-said="in the set: 2"' in html and 'data-said="in the set: 1"' in html
    assert html.count('data-said="left out: 40"') == 2
    seen = decoded(html)
    for place, image in ((0, images[0]), (1, images[1]), (10, images[2])):
        np.testing.assert_array_equal(seen[place], np.moveaxis(image, 0, -1))
    np.testing.assert_array_equal(seen[2], np.moveaxis(pool.images[0], 0, -1))
