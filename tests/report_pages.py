"""What the tests of the report's page do in a browser: open it, press, type, read what it says."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import chromium

if TYPE_CHECKING:
    from selenium.webdriver import Chrome

if chromium.INSTALLED:
    from selenium.webdriver import Keys
    from selenium.webdriver.common.by import By
    from selenium.webdriver.support.ui import WebDriverWait


def open_calm(driver: Chrome, page: Path, width: int = 1280) -> None:
    """Open `page` and insist on a silent console and no request."""
    chromium.resize(driver, width)
    assert chromium.open_page(driver, page) == []
    settle(driver)
    assert driver.execute_script("return performance.getEntriesByType('resource').length") == 0


def settle(driver: Chrome) -> None:
    """Wait until the next frame is drawn and the gallery is arranged for the threshold that the page shows."""
    driver.execute_async_script("requestAnimationFrame(() => requestAnimationFrame(arguments[0]))")
    script = """
      const cards = document.getElementById('cards'), input = document.getElementById('tune-command');
      return !cards || input.textContent.endsWith(' ' + cards.dataset.arranged);"""
    WebDriverWait(driver, 10, poll_frequency=0.05).until(lambda d: d.execute_script(script))


def press(driver: Chrome, selector: str) -> None:
    """A real click on the first match, brought to the middle so that no fixed bar lies over it."""
    button = driver.find_element(By.CSS_SELECTOR, selector)
    driver.execute_script("arguments[0].scrollIntoView({block: 'center'})", button)
    button.click()


def threshold_of(driver: Chrome) -> float:
    command: str = driver.execute_script("return document.getElementById('tune-command').textContent")
    return float(command.rsplit(" ", 1)[1])


def live(driver: Chrome, key: str) -> str:
    text: str = driver.execute_script(
        f"return document.querySelector('#threshold .panel:not(.keep) [data-live=\"{key}\"]').textContent"
    )
    return text


def cards(driver: Chrome) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = driver.execute_script(
        """return [...document.querySelectorAll('.card')].map(c => ({row: Number(c.dataset.row),
          verdict: c.querySelector('.verdict').textContent, outcome: c.querySelector('.outcome').textContent,
          name: c.querySelector('.name').textContent, hidden: c.hidden}));"""
    )
    return found


def set_number(driver: Chrome, value: float) -> None:
    field = driver.find_element(By.ID, "threshold-input")
    field.send_keys(Keys.CONTROL, "a")
    field.send_keys(repr(value))
    settle(driver)
