# SPDX-License-Identifier: GPL-2.0-or-later
"""Judges the reports of a memory checker: prints those that stox has part in, and fails if there are any.

An error that AddressSanitizer finds always counts, since it knows only the memory of malloc, which stox may have
spoilt for others. A leak, and any finding of valgrind, counts if a function of stox is in one of its stacks: the rest
are Kamailio's own, which frees little at its end. usage: python3 reports.py FOLDER
"""

import re
import subprocess
import sys
from pathlib import Path

_STOX = re.compile(r"stox\.so|stox::|\.rs:|shim\.c:")
_ASAN_FRAME = re.compile(r"^(\s+#\d+) 0x\w+\s+\((\S+)\+(0x\w+)\).*$", re.MULTILINE)
_LEAK = re.compile(r"^(?:Direct|Indirect) leak of .*?(?=^\s*$)", re.MULTILINE | re.DOTALL)
_VALGRIND_LINE = re.compile(r"^==\d+== ?", re.MULTILINE)


def judge(folder):
    """What counts, and how many others there are."""
    ours, others = [], 0
    for path in sorted(Path(folder).glob("asan.*")):
        text = path.read_text(errors="replace") + "\n\n"
        leaks = _LEAK.findall(text)
        counting = [leak for leak in leaks if _STOX.search(leak)]
        others += len(leaks) - len(counting)
        ours += [f"{path.name}: {_named(leak)}" for leak in counting]
        # Without any leak in it there is still a report, whatever it says.
        if "AddressSanitizer:" in text.replace("SUMMARY: AddressSanitizer:", "") or not leaks:
            ours.append(f"{path.name}: {_named(text)}")
    for path in sorted(Path(folder).glob("valgrind.*")):
        for finding in re.split(r"\n\s*\n", _VALGRIND_LINE.sub("", path.read_text(errors="replace"))):
            if not re.search(r"^\s+(at|by) 0x", finding, re.MULTILINE):
                continue
            if _STOX.search(finding):
                ours.append(f"{path.name}: {finding}")
            else:
                others += 1
    return ours, others


def _named(text):
    return _ASAN_FRAME.sub(_frame, text)


def _frame(match):
    """A frame with its functions, if it is of stox; elsewhere its module has to do."""
    number, module, offset = match.groups()
    if not _STOX.search(Path(module).name):
        return match.group(0)
    # The address is where the call returns to.
    address = hex(int(offset, 16) - 1)
    done = subprocess.run(["addr2line", "-Cfipe", module, address], capture_output=True, text=True, check=False)
    return f"{number} {done.stdout.strip() or match.group(0).strip()}"


def main():
    """Judges the folder named as argument."""
    ours, others = judge(sys.argv[1])
    for report in ours:
        print(report)
    print(f"{sys.argv[1]}: {len(ours)} reports, {others} of Kamailio's own")
    return 1 if ours else 0


if __name__ == "__main__":
    sys.exit(main())
