"""A browser without a network, where there is one."""

import shutil

import pytest

FLAGS = [
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync",
]  # fmt: skip


@pytest.fixture
def browse(tmp_path):
    """browse(path, width=1280) -> the open page; what the console says and what is requested are errors in the end."""
    playwright = pytest.importorskip("playwright.sync_api", reason="no playwright (the extra 'browser')")
    chromium = shutil.which("chromium") or shutil.which("chromium-browser")
    if chromium is None:
        pytest.skip("no chromium to open the page with")
    said, contexts = [], []
    with playwright.sync_playwright() as driver:

        def browse(path, width=1280, scheme="light"):
            context = driver.chromium.launch_persistent_context(
                tmp_path / f"profile{len(contexts)}",
                executable_path=chromium,
                args=FLAGS,
                offline=True,
                viewport={"width": width, "height": 800},
                color_scheme=scheme,
            )
            contexts.append(context)
            page = context.new_page()
            page.on("console", lambda message: said.append(f"console: {message.text}"))
            page.on("pageerror", lambda error: said.append(f"error: {error}"))
            page.on("dialog", lambda dialog: (said.append(f"dialog: {dialog.message}"), dialog.dismiss()))
            page.on(
                "request",
                lambda request: (
                    request.url.startswith(("file:", "data:", "blob:")) or said.append(request.url)
                ),
            )
            page.goto(path.as_uri())
            page.wait_for_selector("body[data-ready]", timeout=30000)
            return page

        yield browse
        for context in contexts:
            context.close()
    assert said == []
