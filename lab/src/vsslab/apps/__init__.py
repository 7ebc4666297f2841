# Copyright: (c) 2026, umbra contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Live applications that write all the time, and the books that say whether a copy of their data is whole.

Every application is a program of its own, run as a child process and driven by JSON lines (`live`); `driver` is the
laboratory's end of that line, `books` opens copies of their folders.  Nothing here imports another room.
"""
