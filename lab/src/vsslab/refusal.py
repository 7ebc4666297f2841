# Copyright: (c) 2026, umbra contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a user is told when something cannot be done."""


class Refusal(Exception):
    """Something that was asked for cannot be done; the text is one sentence for the user."""
