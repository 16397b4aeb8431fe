"""The report of odd and hostile runs in a real browser: nothing runs, nothing breaks."""

from __future__ import annotations

from pathlib import Path

import pytest

import chromium
from noescape.report import write_inspection_report
from report_pages import cards, live, open_calm, press, set_number, settle, threshold_of
from report_sample import hostile_run, make_row, make_run, write_run

if chromium.INSTALLED:
    from collections.abc import Iterator

    from selenium.webdriver import Chrome, Keys
    from selenium.webdriver.common.by import By

    @pytest.fixture(scope="module")
    def driver() -> Iterator[Chrome]:
        with chromium.browser() as running:
            yield running

    def test_hostile_names_are_inert_in_the_browser(driver: Chrome, tmp_path: Path) -> None:
        page = write_inspection_report(hostile_run(tmp_path), image_root=tmp_path)
        open_calm(driver, page)
        press(driver, "#tab-all")
        for _ in range(3):  # also through the script's own ways of showing a name
            driver.execute_script("document.querySelectorAll('.card:not([hidden]) .shots')[arguments[0]].click()", _)
            driver.execute_script("document.getElementById('viewer').close()")
        set_number(driver, 6.5)
        bad = driver.execute_script(
            """const ours = document.querySelectorAll('script').length;
            const runs = a => a.name.startsWith('on')
              || /^\\s*javascript:/i.test(a.value) && ['href', 'src', 'action'].includes(a.name);
            const handlers = [...document.querySelectorAll('*')].filter(e => [...e.attributes].some(runs));
            const images = [...document.querySelectorAll('img')].filter(i => !i.src.startsWith('data:image/jpeg'));
            return [ours, handlers.length, images.length];"""
        )
        assert bad == [2, 0, 0]
        assert driver.get_log("browser") == []

    def test_the_policy_stops_what_would_slip_through(driver: Chrome, tmp_path: Path) -> None:
        folder, images = make_run(tmp_path, good=6, bad=3)
        open_calm(driver, write_inspection_report(folder, image_root=images))
        driver.execute_script(
            """const bad = document.createElement('div');
            bad.innerHTML = '<img src=x onerror="window.ran = 1"><img src="http://127.0.0.1:9/x.png">';
            const script = document.createElement('script');
            script.textContent = 'window.ran = 2';
            document.body.append(bad, script);"""
        )
        settle(driver)
        assert driver.execute_script("return window.ran") is None
        refused = [entry for entry in driver.get_log("browser") if "Content Security Policy" in str(entry["message"])]
        assert len(refused) >= 3

    ODD = {
        "no image": [],
        "only errors": [{"image_path": "a.png", "label": None, "error": {"code": "empty", "reason": "is empty"}}],
        "one image": [make_row("a.png", 3.25, 3.0)],
        "one good": [make_row("a.png", 3.25, 3.0, gt_label=0, gt_type="good")],
        "one defect": [make_row("a.png", 2.25, 3.0, gt_label=1, gt_type="crack")],
        "equal scores": [make_row(f"{i}", 3.0, 3.0, gt_label=i % 2, gt_type=str(i % 2)) for i in range(9)],
        "negative scores": [make_row(f"{i}", -5.0 - i / 3, -6.0, gt_label=int(i < 4)) for i in range(12)],
        "tiny scores": [make_row(f"{i}", i * 1e-9, 3e-9, gt_label=int(i > 5)) for i in range(12)],
        "far outlier": [make_row(f"{i}", 1 + i / 100, 1.5, gt_label=0) for i in range(80)] + [make_row("x", 1e7, 1.5)],
        "huge scores": [make_row(f"{i}", (i - 5) * 1e290, 0.0, gt_label=int(i > 7)) for i in range(12)],
        "mixed truth": [make_row(f"{i}", i / 2, 3.0, gt_label=(0, 1, None)[i % 3]) for i in range(30)],
    }

    @pytest.mark.parametrize("kind", ODD)
    def test_odd_runs_still_give_a_working_page(driver: Chrome, tmp_path: Path, kind: str) -> None:
        rows = ODD[kind]
        threshold = next((row["image_threshold"] for row in rows if "image_threshold" in row), 3.0)
        folder = write_run(tmp_path, rows, threshold=threshold)
        open_calm(driver, write_inspection_report(folder, image_root=tmp_path), 390)
        assert driver.execute_script("return document.documentElement.scrollWidth") <= 390
        assert "NaN" not in driver.execute_script("return document.querySelector('main').outerHTML")
        judged = [row for row in rows if not row.get("error")]
        if not judged:
            return
        handle = driver.find_element(By.ID, "threshold-handle")
        driver.execute_script("arguments[0].focus()", handle)
        for keys in ((Keys.ARROW_RIGHT,), (Keys.HOME,), (Keys.END,), (Keys.SHIFT, Keys.ARROW_LEFT)):
            driver.switch_to.active_element.send_keys(*keys)
            settle(driver)
            t = threshold_of(driver)
            assert [c["verdict"] for c in sorted(cards(driver), key=lambda c: c["row"])] == [
                "NG" if row["pred_score"] > t else "OK" for row in judged
            ]
        for name in ("catch-all", "no-false-call"):
            for button in driver.find_elements(By.CSS_SELECTOR, f"[data-action={name}]"):
                driver.execute_script("arguments[0].click()", button)
                settle(driver)
                assert live(driver, "fn" if name == "catch-all" else "fp") == "0"
        assert driver.get_log("browser") == []
