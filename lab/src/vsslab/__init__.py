# Copyright: (c) 2026, umbra contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A laboratory that answers on the real wire as a fleet of Windows hosts with Volume Shadow Copy Service."""

__version__ = "0.1.0"
