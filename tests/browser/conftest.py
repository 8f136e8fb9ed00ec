"""A real browser, and a page of another origin than the tracker's that loads its script."""

import shutil
import threading
from collections.abc import Iterator
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from playwright.sync_api import Browser, sync_playwright

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)


class Shop(BaseHTTPRequestHandler):
    """Answers any path with a page that loads the tracker's script."""

    def __init__(self, *args: Any, html: bytes) -> None:
        self.html = html
        super().__init__(*args)

    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("content-type", "text/html")
        self.send_header("content-length", str(len(self.html)))
        self.end_headers()
        self.wfile.write(self.html)

    def log_message(self, format: str, *args: Any) -> None:
        pass


class Site:
    """A shop's web site on a port of its own."""

    def __init__(self, html: str) -> None:
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Shop, html=html.encode()))
        self.origin = f"http://127.0.0.1:{self._server.server_port}"

    def __enter__(self) -> "Site":
        self._thread = threading.Thread(target=self._server.serve_forever)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    if CHROMIUM is None:
        pytest.skip("no Chromium here; on Debian: apt-get install chromium")
    with sync_playwright() as playwright:
        # Containers have no user namespaces for the sandbox; the only pages here are the tests' own.
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield browser
        browser.close()


def shop_page(script_url: str, program_id: str) -> str:
    return (
        f'<!doctype html><title>Shop</title><script src="{script_url}" data-program="{program_id}"></script>'
    )
