"""Puts ``kernels/`` into a built package as ``mdlite.kernels``; all else stands in pyproject.toml.

An editable installation needs no such copy: there ``mdlite/kernels/__init__.py`` points to the folder. So it is a plain entry in Python's path, which a
folder that happens to be called mdlite does not hide, as it hides a mapping of packages.
"""

from setuptools import setup
from setuptools.command.build_py import build_py


class BuildPy(build_py):
    """With the kernels' folder in the place of the package that points to it."""

    def get_package_dir(self, package):
        return "kernels" if package == "mdlite.kernels" else super().get_package_dir(package)


setup(cmdclass={"build_py": BuildPy})
