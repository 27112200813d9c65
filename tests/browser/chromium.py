"""Starts Debian's Chromium, as the tests and the screenshots use it."""

from playwright.async_api import Browser, Playwright

EXECUTABLE = "/usr/bin/chromium"
FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)


async def launch(playwright: Playwright) -> Browser:
    """Start it without a window; it asks nobody for updates."""
    return await playwright.chromium.launch(executable_path=EXECUTABLE, args=FLAGS)
