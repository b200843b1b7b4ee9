"""One tab of a browser, with an ear for what goes wrong in it."""

import time
from typing import Any

from playwright.sync_api import ConsoleMessage, Error, Page, Response

# For `Tab.until`: the page of a batch is there; its batch is finished.
ON_BATCH = "location.pathname === '/app/batches' && !!document.querySelector('.pt-chip')"
FINISHED = "document.querySelector('.pt-chip')?.textContent === 'finished'"

# Ran before any script of the page: violations of the policy are not always told to the console.
LISTEN = """
window.violations = [];
document.addEventListener("securitypolicyviolation", (event) =>
  violations.push(`${event.effectiveDirective} ${event.blockedURI} ${event.sourceFile ?? ""}`));
"""


class Tab:
    """A page with its console, its failed answers and its violations of the policy."""

    def __init__(self, page: Page, url: str) -> None:
        self.page = page
        self.url = url
        self.expected_statuses: set[int] = set()
        self.heard: list[str] = []
        page.add_init_script(LISTEN)
        page.on("console", self._on_console)
        page.on("pageerror", lambda error: self.heard.append(f"error: {error}"))
        page.on("response", self._on_response)

    def goto(self, path: str) -> None:
        """Opens an address of the same server."""
        self.page.goto(self.url + path)

    def until(self, expression: str, timeout_s: float = 30.0) -> Any:
        """Returns the first value of a JavaScript expression that is true. The policy forbids Playwright's own way."""
        deadline = time.monotonic() + timeout_s
        while time.monotonic() < deadline:
            try:
                value = self.page.evaluate(expression)
            except Error as error:  # the page is being left
                if "navigation" not in error.message and "destroyed" not in error.message:
                    raise
                value = None
            if value:
                return value
            time.sleep(0.05)
        text = self.page.evaluate("document.body.innerText")
        msg = f"not within {timeout_s:g} s: {expression}\n{self.page.url}\n{text[:1500]}\n{self.heard}"
        raise AssertionError(msg)

    def until_text(self, text: str, timeout_s: float = 30.0) -> None:
        """Returns when the page shows `text`."""
        self.until(f"document.body?.innerText.includes({text!r})", timeout_s)

    def complaints(self) -> list[str]:
        """What a developer would see in red."""
        violations = [] if self.page.is_closed() else self.page.evaluate("window.violations ?? []")
        return [*self.heard, *(f"violation: {each}" for each in violations)]

    def _on_console(self, message: ConsoleMessage) -> None:
        failed_answer = "Failed to load resource" in message.text  # told by _on_response, with its address
        if message.type == "error" and not failed_answer:
            self.heard.append(f"console: {message.text}")

    def _on_response(self, response: Response) -> None:
        if response.status >= 400 and response.status not in self.expected_statuses:
            self.heard.append(f"answer: {response.status} {response.url}")
