"""What can go wrong: the input, the run, somebody else at work there, and a signal."""


class InputError(ValueError):
    """What the user gave cannot be used; the message names the field, its value and what would be right. Exit code 2."""


class BusyError(InputError):
    """Another process is writing there."""


class Interrupted(KeyboardInterrupt):
    """A run was asked to stop by a signal, and has saved itself. Exit code 128 + ``signal``."""

    def __init__(self, message: str, signal: int):
        super().__init__(message)
        self.signal = signal

    def __reduce__(self):
        return Interrupted, (self.args[0], self.signal)  # so that a worker process can hand it over


class RunError(RuntimeError):
    """A run had to stop (state no longer finite, energy drift); what it had recorded is kept. Exit code 1."""
