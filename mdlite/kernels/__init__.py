"""Where a source tree, or an installation that points to one, has `mdlite.kernels`: in the folder ``kernels`` beside the package.

In a wheel the kernels themselves stand here (see setup.py).
"""

from pathlib import Path

from mdlite.settings import check

__path__ = [str(Path(__file__).resolve().parents[2] / "kernels")]
check()
