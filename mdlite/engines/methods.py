"""The package's own methods, in the order in which they are listed."""

from mdlite.engines import explicit, memory, patch, registry, rungs

for _method in (explicit.Reference(), memory.MemoryKernel(), *rungs.METHODS, patch.Patch()):
    registry.register(_method)

COMPLETE = True
"""All of them: those from outside come after them."""
