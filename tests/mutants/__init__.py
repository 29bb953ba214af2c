"""Mistakes put into the code on purpose, to see that a test fails for each of them.

Every ``*.patch`` here is one mistake. Its first lines say which promise it breaks and which tests
must fail. ``python -m tests.mutants`` makes each in a copy of the tree; :mod:`.patches` reads them,
:mod:`.workbench` is the copy, :mod:`.trial` runs tests there and judges.
"""

from __future__ import annotations
