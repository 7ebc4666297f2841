# Copyright: (c) 2026, umbra contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The live page in headless Chromium: what the laboratory does is seen, without a word in the browser's console."""

from __future__ import annotations

import pytest
from vsslab.vss.codes import Context, VssError

from .conftest import MARKUP

pytestmark = pytest.mark.slow

LIVE = "#link[data-state=live]"


def test_a_shadow_copy_and_a_fault_appear_while_one_looks(start_lab, tab):
    lab, page = start_lab()
    host = lab.hosts["sql01"]
    tab.goto(page.address)
    tab.wait_for_selector(LIVE)
    assert tab.locator("#faults .none").is_visible()
    lab.faults.add({"id": "frozen", "on": {"phase": "freeze", "nth": 2}, "do": {"fail": "0x800423F4"}})
    lab.trace.write("note", "", text="a fault was ordered")
    tab.wait_for_selector("#faults tbody tr")
    tab.click("text=sql01")
    tab.wait_for_selector("#writers tbody tr")
    assert tab.locator("#shadows tbody tr").count() == 0
    made = host.vss.create("Test", [host.vss.volume("D:")], Context.CLIENT_ACCESSIBLE)
    tab.wait_for_selector(f"#shadows >> text={made.shadows[0].id}")
    host.vss.create("Test", [host.vss.volume("D:")], Context.BACKUP)
    with pytest.raises(VssError):
        host.vss.create("Test", [host.vss.volume("D:")], Context.BACKUP)
    tab.wait_for_selector("#writers [data-tone=bad]")
    assert "0x800423f4" in tab.locator("#writers").inner_text()
    assert tab.locator("a.host[aria-current] [data-tone=bad]").inner_text() == "failed"
    host.vss.delete(made.shadows[0].id)
    tab.wait_for_selector(f"#shadows >> text={made.shadows[0].id}", state="detached")
    tab.go_back()
    tab.wait_for_selector("#faults tbody tr")
    assert [each.inner_text() for each in tab.locator("#faults td.number").all()] == ["2", "1", "2", "1"]


def test_names_are_text_whatever_they_are(start_lab, tab):
    lab, page = start_lab()
    lab.faults.add({"id": MARKUP, "on": {"phase": "freeze", "writer": MARKUP}, "do": {"fail": 1}})
    host = lab.hosts["sql01"]
    host.vss.create(MARKUP, [host.vss.volume("D:")], Context.CLIENT_ACCESSIBLE)
    tab.goto(page.address)
    tab.wait_for_selector("#faults tbody tr")
    assert MARKUP in tab.locator("#faults").inner_text()
    tab.click("text=sql01")
    tab.wait_for_selector("#shadows tbody tr")
    assert tab.locator("#shadows").inner_text().count(MARKUP) == 2  # the volume's label, and the requestor
    tab.goto(f"{page.address}#host=%3Cimg%20src=x%20onerror=alert(1)%3E")
    tab.wait_for_selector("text=There is no host of that name.")
    assert tab.locator("h2").inner_text() == MARKUP
    assert tab.locator("img").count() == 0


def test_a_large_fleet_is_filtered_and_only_what_is_wanted_is_drawn(start_lab, tab):
    lab, page = start_lab(hosts=1000)
    tab.goto(page.address)
    tab.wait_for_selector(LIVE)
    assert tab.locator("#count").inner_text() == "1,001 hosts"
    assert tab.locator("#hosts li").count() == 100
    tab.click("#more")
    assert tab.locator("#hosts li").count() == 600
    tab.fill("#filter", "host09 windows11")
    assert tab.locator("#count").inner_text() == "33 of 1,001 hosts"
    assert tab.locator("#hosts li").count() == 33
    tab.fill("#filter", lab.addresses["host0999"])
    assert tab.locator("#hosts b").all_inner_texts() == ["host0999"]
    assert len(lab.hosts.built()) == 1  # looking at a list sets nothing up


def test_the_page_can_be_used_from_the_keyboard_and_says_when_the_laboratory_is_gone(start_lab, tab):
    _, page = start_lab()
    tab.goto(page.address)
    tab.wait_for_selector(LIVE)
    for _ in range(4):  # past the skip link, the filter and the whole fleet to the first host
        tab.keyboard.press("Tab")
    tab.keyboard.press("Enter")
    tab.wait_for_selector("#writers tbody tr")
    assert tab.title() == "sql01 - vsslab"
    assert tab.evaluate("document.activeElement.textContent").startswith("sql01")
    # A server that is really gone would leave a word in the console, which must stay empty.
    tab.evaluate("() => void (window.fetch = () => Promise.reject(new TypeError('gone')))")
    tab.wait_for_selector("#link[data-state=lost]")
    assert tab.locator("#link").inner_text() == "The laboratory does not answer."


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_is_readable_in_light_and_dark(start_lab, tab, scheme):
    """Contrast of every text against what is behind it: at least 4.5 to 1 (WCAG 2.2, 1.4.3)."""
    lab, page = start_lab()
    host = lab.hosts["sql01"]
    host.vss.create("Test", [host.vss.volume("D:")], Context.BACKUP)
    tab.emulate_media(color_scheme=scheme)
    for path, ready in (("", LIVE), ("#host=sql01", "#writers [data-tone=busy]")):
        tab.goto(page.address + path)
        tab.wait_for_selector(ready)
        assert tab.evaluate(CONTRAST) == []


CONTRAST = """() => {
  const numbers = (color) => color.match(/[0-9.]+/g).map(Number);
  const light = (color) => {
    const linear = (v) => (v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4);
    const [r, g, b] = numbers(color).map((v) => linear(v / 255));
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const behind = (node) => {
    const color = getComputedStyle(node).backgroundColor;
    return numbers(color)[3] === 0 && node.parentElement ? behind(node.parentElement) : color;
  };
  const poor = [];
  for (const node of document.querySelectorAll("body *")) {
    if (![...node.childNodes].some((child) => child.nodeType === 3 && child.textContent.trim())) continue;
    if (!node.checkVisibility() || node.tagName === "NOSCRIPT") continue;
    const [a, b] = [light(getComputedStyle(node).color), light(behind(node))].sort((x, y) => y - x);
    const ratio = (a + 0.05) / (b + 0.05);
    if (ratio < 4.5) poor.push(`${node.tagName} ${node.textContent.trim().slice(0, 30)}: ${ratio.toFixed(2)}`);
  }
  return poor;
}"""
