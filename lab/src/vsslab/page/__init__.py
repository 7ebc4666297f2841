# Copyright: (c) 2026, umbra contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The live page of a laboratory: what its hosts are doing, in a browser on this machine."""

from vsslab.page.server import Page

__all__ = ["Page"]
