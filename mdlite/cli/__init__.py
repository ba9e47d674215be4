"""The commands. Heavy imports stand inside the commands, so that `mdlite --help` answers at once."""
