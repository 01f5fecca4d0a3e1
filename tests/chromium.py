"""A headless Chromium for tests."""

import os
import shutil
from pathlib import Path

import pytest
from selenium import webdriver
from selenium.common.exceptions import StaleElementReferenceException
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.action_chains import ActionChains
from selenium.webdriver.common.by import By
from selenium.webdriver.support.ui import WebDriverWait

REQUIRED = "DEEPCOLOR_REQUIRE_BROWSER"  # set to 1, a missing browser fails a test instead of skipping it
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
DRIVER = shutil.which("chromedriver")


class Browser:
    """One headless Chromium, and the folder that it looks at."""

    def __init__(self):
        if not (CHROMIUM and DRIVER):
            end = pytest.fail if os.environ.get(REQUIRED) == "1" else pytest.skip
            end("chromium and chromedriver are not installed")
        options = webdriver.ChromeOptions()
        options.binary_location = CHROMIUM
        for argument in ("--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"):
            options.add_argument(argument)
        options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
        self.driver = webdriver.Chrome(options=options, service=Service(DRIVER))
        self.results = Path()

    def look(self, page, width=1280, height=800):
        """Open a page of the folder anew."""
        self.driver.execute_cdp_cmd(
            "Emulation.setDeviceMetricsOverride",
            {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 500},
        )
        self.driver.get("about:blank")
        for kind in ("browser", "performance"):
            self.driver.get_log(kind)
        self.driver.get(f"{self.results.as_uri()}/{page}")

    def one(self, selector):
        return self.driver.find_element(By.CSS_SELECTOR, selector)

    def all(self, selector):
        return self.driver.find_elements(By.CSS_SELECTOR, selector)

    def run(self, script, *arguments):
        return self.driver.execute_script(f"return {script}", *arguments)

    def until(self, condition):
        # The page may replace what the condition just found.
        waiting = WebDriverWait(self.driver, 10, ignored_exceptions=[StaleElementReferenceException])
        return waiting.until(lambda _: condition())

    def press(self, *keys):
        ActionChains(self.driver).send_keys(*keys).perform()

    def errors(self):
        return [entry["message"] for entry in self.driver.get_log("browser")]

    def clipping(self):
        return self.run("getComputedStyle(document.getElementById('clipped')).clipPath")

    def numbers(self):
        return [float(label.text) for label in self.all(".tile > span:not(.nothing)")]
