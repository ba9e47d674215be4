"""What `mdlite validate` does: each protocol a module with `check(config)`, `settings(config)` and `compare(config, job)`."""
