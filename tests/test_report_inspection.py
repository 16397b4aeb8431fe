"""The report as a file: same bytes every time, small, whole or absent, and closed to what names and links attempt."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from html.parser import HTMLParser
from pathlib import Path

import pytest

from noescape.files import write_json
from noescape.report import write_inspection_report
from noescape.report.page import embed_json
from report_sample import hostile_run, make_row, make_run, rows_of, write_run


class Elements(HTMLParser):
    """Every start tag of a page with its attributes, and the text of its scripts."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.scripts: list[str] = []
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag == "script":
            self.scripts.append("")

    def handle_data(self, data: str) -> None:
        if self.lasttag == "script" and self.scripts and self.cdata_elem == "script":
            self.scripts[-1] += data


def test_same_folder_same_bytes(tmp_path: Path) -> None:
    folder, images = make_run(tmp_path, good=12, bad=6)
    first = write_inspection_report(folder, image_root=images).read_bytes()
    assert write_inspection_report(folder, image_root=images).read_bytes() == first
    assert not [p for p in folder.iterdir() if p.name.endswith(".part")]


def test_nothing_on_the_page_is_loaded_from_elsewhere(tmp_path: Path) -> None:
    folder, images = make_run(tmp_path, good=6, bad=4)
    html = write_inspection_report(folder, image_root=images).read_text("utf-8")
    for tag, attributes in Elements(html).tags:
        for name in ("src", "href", "action", "data", "poster", "srcset", "xlink:href"):
            value = attributes.get(name)
            assert value is None or value.startswith(("data:", "#")), (tag, name, value[:80])
    assert "url(http" not in html
    assert "@import" not in html


def test_the_policy_admits_exactly_our_script(tmp_path: Path) -> None:
    folder, images = make_run(tmp_path, good=2, bad=2)
    page = Elements(write_inspection_report(folder, image_root=images).read_text("utf-8"))
    policy = next(a["content"] for tag, a in page.tags if tag == "meta" and "http-equiv" in a)
    assert policy is not None
    data, script = page.scripts
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    assert f"script-src 'sha256-{digest}';" in policy
    assert policy.startswith("default-src 'none'; img-src data:;")
    assert json.loads(data)["threshold"] == 12.02


def test_hostile_texts_make_no_element_and_no_handler(tmp_path: Path) -> None:
    page = Elements(write_inspection_report(hostile_run(tmp_path / "run"), image_root=tmp_path).read_text("utf-8"))
    calm = Elements(
        write_inspection_report(
            write_run(tmp_path / "calm", [make_row("a.png", 9.0, 4.0, gt_label=1)], threshold=4.0), image_root=tmp_path
        ).read_text("utf-8")
    )
    assert len(page.scripts) == 2
    assert {tag for tag, _ in page.tags} - {tag for tag, _ in calm.tags} <= {"option", "th", "bdi"}
    for tag, attributes in page.tags:
        assert not [name for name in attributes if name.startswith("on")], tag
        assert not (attributes.get("href") or "").lower().startswith("javascript")


def test_direction_changes_and_lone_surrogates_are_spelled_out(tmp_path: Path) -> None:
    html = write_inspection_report(hostile_run(tmp_path), image_root=tmp_path).read_bytes().decode("utf-8")
    assert "\u202e" not in html
    assert "a\\u202egnp.exe" in html
    assert "\x00" not in html


def test_embedded_json_cannot_leave_its_script_element() -> None:
    value = ["</script><!-- & \u2028\u2029 \ud800", {"<": ">"}]
    text = str(embed_json(value))
    assert text.isascii()
    assert not re.search(r"[<>&]", text)
    assert json.loads(text) == value


def test_pictures_outside_of_their_folder_are_not_shown(tmp_path: Path) -> None:
    folder, images = make_run(tmp_path, good=1, bad=1)
    secret = images / "good" / "0000.png"
    outside = tmp_path / "secret.png"
    outside.write_bytes(secret.read_bytes())
    secret.unlink()
    secret.symlink_to(outside)
    rows = [make_row("good/0000.png", 1.0, 5.0), make_row("../secret.png", 2.0, 5.0, overlay_path=str(outside))]
    write_run(folder, rows, threshold=5.0)
    html = write_inspection_report(folder, image_root=images).read_text("utf-8")
    assert "data:image/jpeg" not in html
    assert html.count("the name leads out of the image folder") == 3
    assert html.count("no picture was saved") == 1


def test_a_picture_that_is_gone_or_broken_costs_one_grey_card(tmp_path: Path) -> None:
    folder, images = make_run(tmp_path, good=3, bad=1)
    (images / "good/0000.png").unlink()
    (images / "good/0001.png").write_bytes((images / "good/0001.png").read_bytes()[:200])
    html = write_inspection_report(folder, image_root=images).read_text("utf-8")
    assert html.count('class="gone"') == 2
    assert html.count('<article class="card"') == 4


def test_240_cards_of_noisy_pictures_stay_under_6_mb(tmp_path: Path) -> None:
    folder, images = make_run(tmp_path, good=3, bad=1, side=480)
    rows = [row | {"pred_score": row["pred_score"] + i} for i in range(70) for row in rows_of(folder)]
    write_run(folder, rows, threshold=12.02)
    page = write_inspection_report(folder, image_root=images)
    assert page.read_text("utf-8").count('<article class="card"') == 240
    assert page.stat().st_size < 6_000_000


def test_the_verdicts_in_the_file_follow_the_strict_rule(tmp_path: Path) -> None:
    rows = [make_row("on", 5.0, 5.0), make_row("over", 5.000001, 5.0), make_row("under", 4.0, 5.0)]
    html = write_inspection_report(write_run(tmp_path, rows, threshold=5.0), image_root=tmp_path).read_text("utf-8")
    shown = re.findall(r'verdict (?:ng|ok)">(NG|OK)<.*?<p class="name"><bdi><wbr>(\w+)</bdi>', html, re.DOTALL)
    assert {name: verdict for verdict, name in shown} == {"on": "OK", "over": "NG", "under": "OK"}


def test_labels_that_contradict_the_threshold_are_reported(tmp_path: Path) -> None:
    rows = [make_row("a", 5.0, 5.0), make_row("b", 6.0, 5.0, label="OK")]
    html = write_inspection_report(write_run(tmp_path, rows, threshold=5.0), image_root=tmp_path).read_text("utf-8")
    assert "Labels and threshold disagree" in html


def test_figures_that_do_not_belong_to_the_rows_are_reported(tmp_path: Path) -> None:
    folder, images = make_run(tmp_path, good=8, bad=4)
    assert "Figures and rows disagree" not in write_inspection_report(folder, image_root=images).read_text("utf-8")
    report = json.loads((folder / "report.json").read_text())
    report["metrics"]["at_threshold"]["tp"] += 1
    write_json(folder / "report.json", report)
    assert "Figures and rows disagree" in write_inspection_report(folder, image_root=images).read_text("utf-8")


@pytest.mark.parametrize("source", ["train", "heldout", None, 7])
def test_the_source_of_the_threshold_is_said(tmp_path: Path, source: object) -> None:
    thresholds = {"image_threshold": 5.0, "pixel_threshold": 4.0, "source": source, "n_good": 40}
    folder = write_run(tmp_path, [make_row("a", 5.5, 5.0)], threshold=5.0, thresholds=thresholds)
    html = write_inspection_report(folder, image_root=tmp_path).read_text("utf-8")
    assert ("Threshold from training scores" in html) == (source == "train")
    assert ("source not stated" in html) == (source is None)


def test_without_truth_no_rate_is_claimed(tmp_path: Path) -> None:
    folder, images = make_run(tmp_path, good=4, bad=2, labelled=False)
    html = write_inspection_report(folder, image_root=images).read_text("utf-8")
    assert "How good these verdicts are is not known" in html
    assert "noescape evaluate --run-dir" in html
    assert 'id="roc"' not in html
    assert 'data-live="fp"' not in html


def test_the_run_folder_in_the_command_is_quoted_for_a_shell(tmp_path: Path) -> None:
    rows = [make_row("a", 5.5, 5.0)]
    folder = write_run(tmp_path / "r", rows, threshold=5.0, run_dir="runs/it's; rm -rf $HOME")
    html = write_inspection_report(folder, image_root=tmp_path).read_text("utf-8")
    assert "noescape tune &#39;runs/it&#39;&#34;&#39;&#34;&#39;s; rm -rf $HOME&#39; --image-threshold 5.0" in html


@pytest.mark.parametrize(
    ("verdict", "mark"), [("as learnt", None), ("watch", "note"), ("drifted", "warn"), ("odd", "warn")]
)
def test_drift_is_said_as_loudly_as_it_deserves(tmp_path: Path, verdict: str, mark: str | None) -> None:
    folder = write_run(tmp_path, [make_row("a", 1.0, 5.0)], threshold=5.0, drift={"score": 1.5, "verdict": verdict})
    html = write_inspection_report(folder, image_root=tmp_path).read_text("utf-8")
    found = re.search(r'<li class="(\w+)">(?:(?!</li>).)*Drift of the input', html, re.DOTALL)
    assert (found and found[1]) == mark
