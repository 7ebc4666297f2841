# Copyright: (c) 2026, umbra contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The command `vsslab`: bring a laboratory up, look at it, disturb it, bring it down."""

from __future__ import annotations

import io
import sys
from collections.abc import Sequence

from vsslab.cli.parser import build
from vsslab.refusal import Refusal


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line; the exit status: 0 done, 1 not possible (one sentence says why), 2 a wrong command line."""
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")  # a terminal that knows fewer letters is no reason to fail
    given = list(sys.argv[1:] if argv is None else argv)
    passed_on = given[1:] if given[:1] == ["coverage"] else []  # its words are judged elsewhere
    options = build().parse_args(given[: len(given) - len(passed_on)])
    options.rest = passed_on
    try:
        status: int = options.run(options)
    except Refusal as error:
        print(f"vsslab: {error}", file=sys.stderr)
        return 1
    except (BrokenPipeError, KeyboardInterrupt):
        return 1
    except OSError as error:
        what = f"{error.filename}: {error.strerror}" if error.filename else str(error)
        print(f"vsslab: {what}.", file=sys.stderr)
        return 1
    return status
