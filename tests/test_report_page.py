"""The report in a real browser: it judges as Python does, obeys the keyboard, fits a phone and stays silent."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

import chromium
from noescape.metrics import rate
from noescape.report import write_inspection_report
from report_pages import cards, live, open_calm, press, set_number, settle, threshold_of
from report_sample import hostile_run, make_run, rows_of

if chromium.INSTALLED:
    from collections.abc import Iterator

    from selenium.webdriver import ActionChains, Chrome, Keys
    from selenium.webdriver.common.by import By
    from selenium.webdriver.support.ui import WebDriverWait

    @pytest.fixture(scope="module")
    def driver() -> Iterator[Chrome]:
        with chromium.browser() as running:
            yield running

    @pytest.fixture(scope="module")
    def labelled(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[dict[str, Any]]]:
        """A page with truth and more images than cards, and its rows."""
        folder, images = make_run(tmp_path_factory.mktemp("labelled"), good=60, bad=30)
        return write_inspection_report(folder, image_root=images, gallery_limit=48), rows_of(folder)

    def check_against_python(driver: Chrome, rows: list[dict[str, Any]]) -> float:
        """Every count and badge of the page equals `score > threshold` in Python; returns the threshold."""
        t = threshold_of(driver)
        cells = {"tp": 0, "fp": 0, "tn": 0, "fn": 0}
        for row in rows:
            ng = row["pred_score"] > t
            if row["gt_label"] is not None:
                cells[("t" if ng == bool(row["gt_label"]) else "f") + ("p" if ng else "n")] += 1
        assert {key: int(live(driver, key).replace(",", "")) for key in cells} == cells
        words = {0: ("passed", "false call"), 1: ("missed", "caught"), None: ("", "")}
        for card in cards(driver):
            row = rows[card["row"]]
            ng = row["pred_score"] > t
            assert card["verdict"] == ("NG" if ng else "OK")
            assert card["outcome"] == words[row["gt_label"]][ng]
        return t

    def test_the_page_opens_silent_and_judges_like_python(driver: Chrome, labelled: Any) -> None:
        page, rows = labelled
        open_calm(driver, page)
        assert check_against_python(driver, rows) == 12.02
        assert len(cards(driver)) == 48

    def test_dragging_the_line_judges_everything_again(driver: Chrome, labelled: Any) -> None:
        page, rows = labelled
        open_calm(driver, page)
        seen = {check_against_python(driver, rows)}
        for pixels in (-60, 25, 180):
            handle = driver.find_element(By.CSS_SELECTOR, "#threshold-handle .pill")
            ActionChains(driver, duration=50).drag_and_drop_by_offset(handle, pixels, 0).perform()
            settle(driver)
            seen.add(check_against_python(driver, rows))
        assert len(seen) == 4
        assert driver.find_element(By.ID, "whatif").is_displayed()
        press(driver, "#whatif [data-action=reset]")
        settle(driver)
        assert check_against_python(driver, rows) == 12.02
        assert not driver.find_element(By.ID, "whatif").is_displayed()

    def test_a_finger_moves_the_line_too(driver: Chrome, labelled: Any) -> None:
        page, rows = labelled
        open_calm(driver, page, 390)
        at = driver.execute_script(
            "const h = document.getElementById('threshold-handle'); "
            "h.scrollIntoView({block: 'center'});"
            "const r = h.querySelector('.pill').getBoundingClientRect();"
            "return [r.x + r.width / 2, r.y + r.height / 2];"
        )
        for kind, dx in (("touchStart", 0), ("touchMove", 20), ("touchMove", 45), ("touchEnd", None)):
            points = [] if dx is None else [{"x": at[0] + dx, "y": at[1]}]
            driver.execute_cdp_cmd("Input.dispatchTouchEvent", {"type": kind, "touchPoints": points})
        WebDriverWait(driver, 5).until(lambda d: threshold_of(d) != 12.02)
        settle(driver)
        assert check_against_python(driver, rows) > 12.02

    def test_the_keyboard_moves_the_line(driver: Chrome, labelled: Any) -> None:
        page, rows = labelled
        open_calm(driver, page)
        handle = driver.find_element(By.ID, "threshold-handle")
        driver.execute_script("arguments[0].focus()", handle)
        values = [threshold_of(driver)]
        for keys in ((Keys.ARROW_RIGHT,), (Keys.SHIFT, Keys.ARROW_RIGHT), (Keys.PAGE_UP,), (Keys.END,)):
            driver.switch_to.active_element.send_keys(*keys)
            settle(driver)
            values.append(check_against_python(driver, rows))
        assert values == sorted(set(values))
        assert values[2] - values[1] < values[1] - values[0] < values[3] - values[2]
        driver.switch_to.active_element.send_keys(Keys.HOME)
        settle(driver)
        assert check_against_python(driver, rows) < min(row["pred_score"] for row in rows)
        assert "NG" in (driver.find_element(By.ID, "threshold-handle").get_attribute("aria-valuetext") or "")

    def test_a_typed_score_is_ok_at_exactly_that_threshold(driver: Chrome, labelled: Any) -> None:
        page, rows = labelled
        open_calm(driver, page)
        for row in (rows[0], rows[70]):
            set_number(driver, row["pred_score"])
            assert check_against_python(driver, rows) == row["pred_score"]
        field = driver.find_element(By.ID, "threshold-input")
        field.send_keys(Keys.CONTROL, "a")
        field.send_keys(Keys.DELETE)
        assert check_against_python(driver, rows) == rows[70]["pred_score"], "an empty field changes nothing"

    def test_the_shortcuts_do_what_they_say(driver: Chrome, labelled: Any) -> None:
        page, rows = labelled
        open_calm(driver, page)
        press(driver, "[data-action=catch-all]")
        settle(driver)
        check_against_python(driver, rows)
        assert live(driver, "fn") == "0"
        press(driver, "[data-action=no-false-call]")
        settle(driver)
        check_against_python(driver, rows)
        assert live(driver, "fp") == "0"
        button = driver.find_elements(By.CSS_SELECTOR, "[data-action=try]")[2]
        driver.execute_script("arguments[0].click()", button)
        settle(driver)
        report = json.loads((page.parent / "report.json").read_text())
        stored = report["metrics"]["false_alarm_rate_at_recall"][2]
        check_against_python(driver, rows)
        assert int(live(driver, "fn")) == stored["miss_rate"]["events"]
        assert int(live(driver, "fp")) == stored["false_alarm_rate"]["events"]

    def test_live_bounds_equal_the_exact_binomial_ones(driver: Chrome, labelled: Any) -> None:
        page, rows = labelled
        open_calm(driver, page)
        good = [row["pred_score"] for row in rows if row["gt_label"] == 0]
        for t in (5.0, 8.5, 10.3, 99.0):
            set_number(driver, t)
            exact = rate(sum(score > t for score in good), len(good))
            detail = live(driver, "false_alarm_rate_detail")
            shown = float(detail.rsplit(" ", 1)[1].rstrip("%"))
            assert exact.upper * 100 - 1e-5 <= shown <= exact.upper * 100 + 0.1, detail
            assert detail.startswith(f"{exact.events} of {exact.n}")

    def test_tabs_and_filters_show_what_they_name(driver: Chrome, labelled: Any) -> None:
        page, rows = labelled
        open_calm(driver, page)

        def shown() -> list[float]:
            return [rows[c["row"]]["pred_score"] for c in cards(driver) if not c["hidden"]]

        def outcomes() -> set[str]:
            return {c["outcome"] for c in cards(driver) if not c["hidden"]}

        set_number(driver, 16)
        press(driver, "#tab-misses")
        assert outcomes() == {"missed"}
        assert shown() == sorted(shown())
        set_number(driver, 9.5)
        driver.find_element(By.ID, "tab-misses").send_keys(Keys.ARROW_RIGHT)
        assert driver.switch_to.active_element.get_attribute("id") == "tab-calls"
        assert outcomes() == {"false call"}
        assert shown() == sorted(shown(), reverse=True)
        press(driver, "#tab-all")
        assert len(shown()) == 24
        press(driver, "[data-action=more]")
        assert len(shown()) == 48
        driver.find_element(By.ID, "filter-name").send_keys("SCRATCH")
        assert {c["name"].split("/")[0] for c in cards(driver) if not c["hidden"]} == {"scratch"}
        driver.find_element(By.ID, "filter-name").clear()
        driver.execute_script(
            "const s = document.getElementById('filter-verdict'); s.value = 'OK'; s.dispatchEvent(new Event('input'));"
        )
        assert shown()
        assert max(shown()) <= 9.5

    def test_a_card_opens_larger_and_escape_closes_it(driver: Chrome, labelled: Any) -> None:
        open_calm(driver, labelled[0])
        press(driver, "#tab-all")
        first = next(c for c in cards(driver) if not c["hidden"])
        driver.find_element(By.CSS_SELECTOR, f"#card-{first['row']} .shots").send_keys(Keys.ENTER)
        dialog = driver.find_element(By.ID, "viewer")
        assert dialog.is_displayed()
        assert driver.find_element(By.ID, "viewer-name").text == first["name"]
        assert driver.execute_script("return document.querySelectorAll('#viewer img').length") == 2
        dialog.send_keys(Keys.ARROW_RIGHT)
        assert driver.find_element(By.ID, "viewer-name").text != first["name"]
        driver.switch_to.active_element.send_keys(Keys.ESCAPE)
        assert not dialog.is_displayed()

    @pytest.mark.parametrize("width", [390, 1280])
    def test_the_page_never_scrolls_sideways(driver: Chrome, labelled: Any, tmp_path: Path, width: int) -> None:
        hostile = write_inspection_report(hostile_run(tmp_path), image_root=tmp_path)
        for page in (labelled[0], hostile):
            open_calm(driver, page, width)
            if page == labelled[0]:
                set_number(driver, 10.123456789)
            assert driver.execute_script("return document.documentElement.scrollWidth") <= width
            wide = driver.execute_script(
                "return [...document.querySelectorAll('main *')].filter(e => !e.closest('.scroll, svg, dialog') &&"
                " e.getBoundingClientRect().right > innerWidth + 1).map(e => e.outerHTML.slice(0, 120));"
            )
            assert wide == []
