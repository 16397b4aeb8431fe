"""A headless Chromium for the page tests, or None where it is not installed (then those tests do not exist)."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from selenium.webdriver import Chrome

BROWSER = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
DRIVER = shutil.which("chromedriver")
try:
    import selenium  # noqa: F401

    INSTALLED = bool(BROWSER and DRIVER)
except ImportError:
    INSTALLED = False


@contextmanager
def browser(*, dark: bool = False) -> Iterator[Chrome]:
    """A fresh browser with an empty profile, its console readable; closed and its profile removed at the end."""
    from selenium.webdriver import Chrome, ChromeOptions
    from selenium.webdriver.chrome.service import Service

    options = ChromeOptions()
    options.binary_location = str(BROWSER)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    with tempfile.TemporaryDirectory(prefix="noescape-chromium-", ignore_cleanup_errors=True) as profile:
        for flag in (
            "--headless=new",
            "--no-sandbox",
            "--disable-gpu",
            "--disable-dev-shm-usage",
            "--disable-quic",
            "--no-first-run",
            "--disable-background-networking",
            "--disable-component-update",
            "--disable-sync",
            "--force-device-scale-factor=1",
            f"--user-data-dir={profile}",
        ):
            options.add_argument(flag)
        if dark:
            options.add_argument("--blink-settings=preferredColorScheme=0")
        driver = Chrome(options=options, service=Service(executable_path=str(DRIVER)))
        try:
            driver.set_page_load_timeout(60)
            yield driver
        finally:
            driver.quit()


def resize(driver: Chrome, width: int, height: int = 900) -> None:
    """Give the page a viewport of exactly `width` x `height` CSS pixels, also narrower than a window may be."""
    driver.execute_cdp_cmd(
        "Emulation.setDeviceMetricsOverride",
        {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": False},
    )


def open_page(driver: Chrome, page: Path) -> list[dict[str, object]]:
    """Load `page` from disk; return what the console said while loading."""
    driver.get_log("browser")
    driver.get(page.resolve().as_uri())
    log: list[dict[str, object]] = driver.get_log("browser")
    return log
